import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { CallContext } from '#lib/cpi/call-context.ts';
import { CpiError } from '#lib/cpi/errors.ts';
import type { HttpDownload } from '#lib/http/transport.ts';
import { ArchiveError } from '#lib/stemcell/archive.ts';
import { objectLocation, SourceError, sourceAt } from '#lib/stemcell/source.ts';
import { callContext } from '../support/call-context.ts';

const STEMCELL = 'https://files.example.com/stemcell.tgz?X-Amz-Signature=s3cr3t';
const closings: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(closings.splice(0).map((close) => close()));
});

function context(changes: Partial<CallContext> = {}): CallContext {
  const made = callContext();
  closings.push(made.close);
  return { ...made.context, ...changes };
}

function downloading(data: Readable, head: Partial<HttpDownload> = {}): Partial<CallContext> {
  return { download: async () => ({ status: 200, reason: 'OK', headers: {}, ...head, data }) };
}

describe('a file', () => {
  it('is read from its beginning each time', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'source-test-'));
    closings.push(() => rm(folder, { recursive: true }));
    const path = join(folder, 'image');
    await writeFile(path, 'an archive');
    const source = sourceAt(path, context());

    const texts = [await text(await source.open()), await text(await source.open())];

    expect(texts).toEqual(['an archive', 'an archive']);
  });

  it.each(['/no/such/file', '/proc/self/mem/x', 'relative/no-such-file'])(
    'that cannot be opened is an unreadable archive: %s',
    async (path) => {
      const opening = sourceAt(path, context()).open();

      await expect(opening).rejects.toThrow(ArchiveError);
      await expect(opening).rejects.toThrow('Extracting stemcell root image failed');
    },
  );

  it('that is a folder is an unreadable archive', async () => {
    const data = await sourceAt(tmpdir(), context()).open();

    await expect(text(data)).rejects.toThrow(ArchiveError);
  });
});

describe('a URL', () => {
  it('is read as it comes', async () => {
    const source = sourceAt(STEMCELL, context(downloading(Readable.from(['an ', 'archive']))));

    expect(await text(await source.open())).toBe('an archive');
  });

  it.each([
    [404, 'Not Found', false],
    [403, 'Forbidden', false],
    [302, 'Found; redirects must lead to HTTPS, and to an end', false],
    [429, 'Too Many Requests', true],
    [503, 'Service Unavailable', true],
  ])('that answers %s tells this, and nothing of its query', async (status, message, isRetryable) => {
    const [reason = ''] = message.split(';');
    const source = sourceAt(STEMCELL, context(downloading(Readable.from(['<html>']), { status, reason })));

    const error = await source.open().catch((failure: unknown) => failure);

    expect(error).toBeInstanceOf(SourceError);
    expect(error).toMatchObject({
      message: `Cannot read https://files.example.com/stemcell.tgz: ${status} ${message}`,
      isRetryable,
    });
  });

  it('that breaks off may be read again', async () => {
    const data = new Readable({ read() {} });
    const reading = text(await sourceAt(STEMCELL, context(downloading(data))).open());
    data.push('half');
    data.destroy(new Error('aborted'));

    await expect(reading).rejects.toMatchObject({
      message: 'Cannot read https://files.example.com/stemcell.tgz: the connection broke off',
      isRetryable: true,
    });
  });

  it('that sends nothing for too long is given up', async () => {
    const data = new Readable({ read() {} });
    const reading = text(await sourceAt(STEMCELL, context({ ...downloading(data), idleMs: 20 })).open());

    await expect(reading).rejects.toThrow('nothing came for 0.02 s');
    expect(data.destroyed).toBe(true);
  });

  it('is not given up while nobody asks for more', async () => {
    const large = Readable.from(pieces(100), { objectMode: false });
    const data = await sourceAt(STEMCELL, context({ ...downloading(large), idleMs: 20 })).open();

    await once(data, 'readable');
    await pause(60);

    expect((await text(data)).length).toBe(100 * 65_536);
  });

  it('is closed with its reader', async () => {
    const data = new Readable({ read() {} });
    const reading = await sourceAt(STEMCELL, context(downloading(data))).open();
    const closed = once(data, 'close');

    reading.destroy();

    await closed;
    expect(data.destroyed).toBe(true);
  });
});

function* pieces(count: number): Generator<Buffer> {
  for (let left = count; left > 0; left -= 1) {
    yield Buffer.alloc(65_536, 'x');
  }
}

describe('sourceAt', () => {
  it.each([
    ['http://files.example.com/a.tgz', 'got http://'],
    ['ftp://files.example.com/a.tgz', 'got ftp://'],
    ['s3://bucket', 's3://<bucket>/<key>'],
    ['s3:///key', 's3://<bucket>/<key>'],
    ['https://', 'no valid URL'],
  ])('refuses %s', (location, message) => {
    expect(() => sourceAt(location, context())).toThrow(CpiError);
    expect(() => sourceAt(location, context())).toThrow(message);
  });

  it('takes the key of an object as it is', () => {
    expect(objectLocation('s3://my-bucket/a folder/ä%20b.tgz')).toEqual({
      bucket: 'my-bucket',
      key: 'a folder/ä%20b.tgz',
    });
  });
});
