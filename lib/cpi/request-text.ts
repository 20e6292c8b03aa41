import { isDeeperThan, isRecord, parseJson } from '../json.ts';
import { CpiError } from './errors.ts';

const MAX_LEVELS = 500;

/**
 * The request that a text holds.
 * @param source what the text is called in messages
 * @throws {CpiError} that repeats nothing of the text, since it may be secret
 */
export function parseRequestText(text: string, source: string): Record<string, unknown> {
  const request = parseJson(text);
  if (request === undefined) {
    const what = text.trim() === '' ? `${source} is empty` : `${source} is not JSON`;
    throw new CpiError(`Request cannot be deserialized: ${what}`);
  }
  if (isDeeperThan(MAX_LEVELS, request)) {
    throw new CpiError('Request cannot be deserialized: it is nested too deeply');
  }
  if (!isRecord(request)) {
    throw new CpiError('Invalid request: a JSON object was expected');
  }
  return request;
}
