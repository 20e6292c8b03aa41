import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, startServer, startSilentServer } from '../lib/support/loopback.ts';
import { directorRequest } from '../support/cpi.ts';

const TOKEN = 'correct-horse-battery-staple';

const children: ChildProcess[] = [];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cpi-serve-'));
});

afterEach(() => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
  }
});

afterAll(() => rm(folder, { recursive: true }));

function start(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['dist/serve.cjs', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', ...env },
  });
  children.push(child);
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, exit };
}

/** A server that listens. `isSaid` waits for a line of its log. */
async function serving(args: string[], env: Record<string, string> = {}) {
  const { child, exit } = start(['--port', '0', '--host', '127.0.0.1', ...args], env);
  const lines = createInterface({ input: child.stderr })[Symbol.asyncIterator]();

  const isSaid = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) {
        throw new Error('the server has ended');
      }
      const found = pattern.exec(value);
      if (found) {
        return found[1] ?? '';
      }
    }
  };

  const port = Number(await isSaid(/serving on port (\d+)$/));
  return { child, exit, port, isSaid };
}

function call(port: number, path: string, body: object): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify(body),
  });
}

/** A configuration that uses the Keystone at a URL. */
function configuration(authUrl: string): object {
  return {
    cloud: {
      properties: {
        openstack: {
          auth_url: authUrl,
          username: 'bosh',
          api_key: 'MARKED-SECRET-password-4711',
          project: 'bosh',
          domain: 'Default',
        },
      },
    },
  };
}

const refuseLogin: Answer = (response) => response.writeHead(401).end();

describe('dist/serve.cjs', () => {
  it.each([
    ['a token', [], {}, 'Without a token anybody could call: set CPI_SERVE_TOKEN, or give --token-file FILE'],
    ['a port', ['--port', 'http'], { CPI_SERVE_TOKEN: TOKEN }, 'The port must be an integer from 0 to 65535'],
    ['a port that is one', [], { CPI_SERVE_TOKEN: TOKEN, PORT: '65536' }, 'The port must be an integer'],
    ['options that exist', ['--tls'], { CPI_SERVE_TOKEN: TOKEN }, 'Usage: serve [--port PORT]'],
  ])('does not start without %s', async (_, args, env, message) => {
    const { child, exit } = start(args, env);

    const [stderr, stdout, status] = await Promise.all([text(child.stderr), text(child.stdout), exit]);

    expect(stderr.startsWith(message)).toBe(true);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  it('does not start where another one listens', async () => {
    const other = await startSilentServer();
    const { child, exit } = start(['--port', String(other.port), '--host', '127.0.0.1'], {
      CPI_SERVE_TOKEN: TOKEN,
    });

    const [stderr, status] = await Promise.all([text(child.stderr), exit]);
    await other.close();

    expect(stderr).toContain('EADDRINUSE');
    expect(status).toBe(1);
  });

  it('answers with the token of the environment', async () => {
    const { port } = await serving([], { CPI_SERVE_TOKEN: TOKEN });

    const response = await call(port, '/info', directorRequest('info', []));

    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ result: { api_version: 3 } });
  });

  it('answers with the token of a file', async () => {
    const path = join(folder, 'token');
    await writeFile(path, `${TOKEN}\n`);
    const { port } = await serving(['--token-file', path]);

    const response = await call(port, '/info', directorRequest('info', []));

    expect(response.status).toBe(200);
  });

  it('listens on the port of the environment', async () => {
    const other = await startSilentServer();
    await other.close();
    const { child } = start(['--host', '127.0.0.1'], { CPI_SERVE_TOKEN: TOKEN, PORT: String(other.port) });

    const { value } = await createInterface({ input: child.stderr })[Symbol.asyncIterator]().next();

    expect(value).toMatch(new RegExp(`serving on port ${other.port}$`));
  });

  it('answers the running call before SIGTERM ends it', async () => {
    const isAsked = Promise.withResolvers<void>();
    const mayAnswer = Promise.withResolvers<void>();
    const keystone = await startServer(async (response) => {
      isAsked.resolve();
      await mayAnswer.promise;
      response.writeHead(401).end();
    });
    const { child, exit, port, isSaid } = await serving([], { CPI_SERVE_TOKEN: TOKEN });
    const running = call(port, '/has-vm', {
      ...directorRequest('has_vm', ['vm']),
      config: configuration(keystone.url),
    });
    await isAsked.promise;

    child.kill('SIGTERM');
    await isSaid(/stopping as soon as/);
    mayAnswer.resolve();
    const response = await running;
    const status = await exit;
    await keystone.close();

    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      error: { message: expect.stringContaining('refused the credentials') },
    });
    expect(status).toBe(0);
  });

  it('uses the configuration of the environment', async () => {
    const keystone = await startServer(refuseLogin);
    const { port } = await serving([], {
      CPI_SERVE_TOKEN: TOKEN,
      CPI_CONFIG: JSON.stringify(configuration(keystone.url)),
    });

    const response = await call(port, '/has-vm', directorRequest('has_vm', ['vm']));
    await keystone.close();

    expect(await response.json()).toMatchObject({
      error: { message: expect.stringContaining('refused the credentials') },
    });
    expect(keystone.received[0]?.body).toContain('MARKED-SECRET-password-4711');
  });

  it.each([
    ['context', (url: string) => ({ context: { auth_url: url } }), 'openstack.auth_url must be'],
    [
      'config',
      (url: string) => ({ config: { cloud: { properties: { openstack: { auth_url: url } } } } }),
      'openstack.auth_url must be',
    ],
    [
      'proxy',
      (url: string) => ({ context: { connection_options: { proxy: url } } }),
      'openstack.connection_options.proxy must be',
    ],
  ])("sends its password nowhere else because of a caller's %s", async (_, part, message) => {
    const keystone = await startServer(refuseLogin);
    const attacker = await startServer(refuseLogin);
    const { port } = await serving([], {
      CPI_SERVE_TOKEN: TOKEN,
      CPI_CONFIG: JSON.stringify(configuration(keystone.url)),
    });

    const response = await call(port, '/has-vm', {
      ...directorRequest('has_vm', ['vm']),
      ...part(attacker.url),
    });
    const answer = await response.text();
    await Promise.all([keystone.close(), attacker.close()]);

    expect(JSON.parse(answer).error).toMatchObject({
      type: 'Bosh::Clouds::CpiError',
      message: expect.stringContaining(message),
    });
    expect([...attacker.received, ...keystone.received]).toEqual([]);
    expect(answer).not.toContain('MARKED-SECRET');
  });
});
