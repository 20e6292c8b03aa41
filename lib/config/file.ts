import { readFile } from 'node:fs/promises';
import { CpiError } from '../cpi/errors.ts';
import { isRecord } from '../json.ts';

export interface ConfigFile {
  cloud: { properties: Record<string, unknown> };
}

/** @throws {CpiError} that names the file, but nothing of its content */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new CpiError(
      `Cannot read the configuration '${path}' (${'code' in cause ? cause.code : cause.message}); ` +
        'give its path with --config',
      { cause },
    );
  });
  const properties = cloudProperties(parsed(path, text));
  if (properties === undefined) {
    throw new CpiError(`Could not find cloud properties in the configuration '${path}'`);
  }
  return { cloud: { properties } };
}

/** A parser's message would show a part of the text. */
function parsed(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CpiError(`The configuration '${path}' is not JSON`);
  }
}

export function cloudProperties(content: unknown): Record<string, unknown> | undefined {
  const cloud = isRecord(content) ? content.cloud : undefined;
  const properties = isRecord(cloud) ? cloud.properties : undefined;
  return isRecord(properties) ? properties : undefined;
}
