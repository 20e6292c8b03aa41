import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Fault } from '../cloud.ts';

/** Makes an upload break. */
class CutError extends Error {}

/**
 * What reaches the cloud of a request's body.
 * @param count is told how much of it has come
 * @throws where it is to be cut, or the client went away
 */
export async function* distorted(
  request: IncomingMessage,
  chunks: AsyncIterable<Buffer>,
  fault: Fault,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  let rest = placeOf(fault);
  for await (const chunk of chunks) {
    count(chunk.length);
    if ('flippedByte' in fault || rest > chunk.length) {
      yield 'flippedByte' in fault ? flipped(chunk, rest) : chunk;
      rest -= chunk.length;
      continue;
    }
    yield chunk.subarray(0, rest);
    await happen(fault, request);
    yield chunk.subarray(rest);
    rest = Number.POSITIVE_INFINITY;
  }
}

/** @returns once that much of it is there; the rest is never read */
export async function firstBytes(
  chunks: AsyncIterable<Buffer>,
  bytes: number,
  count: (bytes: number) => void,
): Promise<void> {
  let rest = bytes;
  const iterator = chunks[Symbol.asyncIterator]();
  while (rest > 0) {
    const { done, value } = await iterator.next();
    if (done) {
      return;
    }
    count(value.length);
    rest -= value.length;
  }
}

function placeOf(fault: Fault): number {
  if ('resetAfterBytes' in fault) {
    return fault.resetAfterBytes;
  }
  if ('stallAfterBytes' in fault) {
    return fault.stallAfterBytes;
  }
  if ('flippedByte' in fault) {
    return fault.flippedByte;
  }
  return 'atByte' in fault ? fault.atByte : Number.POSITIVE_INFINITY;
}

async function happen(fault: Fault, request: IncomingMessage): Promise<void> {
  if ('resetAfterBytes' in fault) {
    throw new CutError('cut by the fault injector');
  }
  if ('stallAfterBytes' in fault) {
    await (request.destroyed || once(request, 'close'));
    throw new CutError('the client went away');
  }
  await ('meanwhile' in fault ? fault.meanwhile() : undefined);
}

/** @param at which byte, if it is one of this piece */
function flipped(piece: Buffer, at: number): Buffer {
  const changed = Buffer.from(piece);
  const byte = changed[at];
  if (byte !== undefined) {
    changed[at] = byte ^ 1;
  }
  return changed;
}
