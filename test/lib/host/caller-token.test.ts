import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readToken } from '#lib/host/caller-token.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cpi-token-'));
});

afterAll(() => rm(folder, { recursive: true }));

async function tokenFile(content: string): Promise<string> {
  const path = join(folder, 'token');
  await writeFile(path, content);
  return path;
}

describe('the token of the server', () => {
  it('comes from the environment', async () => {
    const token = await readToken({ path: undefined, fromEnvironment: 'from-the-environment' });

    expect(token).toBe('from-the-environment');
  });

  it('comes from a file, if there is one, without its line end', async () => {
    const path = await tokenFile('from-the-file\n');

    const token = await readToken({ path, fromEnvironment: 'from-the-environment' });

    expect(token).toBe('from-the-file');
  });

  it.each([
    ['nowhere', undefined],
    ['an empty variable', ''],
  ])('must not be empty, from %s', async (_, fromEnvironment) => {
    const reading = readToken({ path: undefined, fromEnvironment });

    await expect(reading).rejects.toThrow('set CPI_SERVE_TOKEN, or give --token-file FILE');
  });

  it('must not be empty, from a file, whatever the environment has', async () => {
    const reading = readToken({ path: await tokenFile(' \n'), fromEnvironment: 'x' });

    await expect(reading).rejects.toThrow('Without a token anybody could call');
  });

  it.each(['two words', 'schlüssel', 'a\u0000b'])('must be fit for a header: %j', async (token) => {
    const reading = readToken({ path: undefined, fromEnvironment: token });

    await expect(reading).rejects.toThrow(/^The token must consist of visible ASCII characters$/);
  });

  it('needs the file that was named', async () => {
    const path = join(folder, 'no-such-file');

    const reading = readToken({ path, fromEnvironment: 'x' });

    await expect(reading).rejects.toThrow(`Cannot read the token file '${path}' (ENOENT)`);
  });
});
