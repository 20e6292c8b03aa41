import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { resultOf, sent } from '../acceptance/scenario.ts';
import { embeddedStage, type Stage } from '../acceptance/stage.ts';
import { imageData, stemcellName, stemcellProperties } from '../acceptance/stemcell-archive.ts';
import { refuseSecrets } from '../support/cpi.ts';
import { wholeStemcell } from '../support/whole-stemcell.ts';

const ROOT_IMAGE = imageData(3_000_000);
const UPLOAD = { service: 'image', method: 'PUT', path: /\/file$/ } as const;
const USAGE = /^cpi: (.*)\n\nUsage:\n/;
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/tmp', TMPDIR: tmpdir() };
const hasScript = spawnSync('script', ['--version']).status === 0;

interface Ended {
  stdout: string;
  stderr: string;
  status: number | null;
}

/** What an operator has started, and sees. */
class Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  #seen = { stdout: '', stderr: '' };
  #watchers: (() => void)[] = [];

  constructor(command: string, args: string[]) {
    this.child = spawn(command, args, { env: ENVIRONMENT });
    for (const name of ['stdout', 'stderr'] as const) {
      this.child[name]?.setEncoding('utf8').on('data', (text: string) => {
        this.#seen[name] += text;
        this.#watchers.forEach((look) => {
          look();
        });
      });
    }
    this.ended = new Promise((resolve) => {
      this.child.once('close', (status) => resolve({ ...this.#seen, status }));
    });
  }

  /** Resolves when it is on either output, at the latest at the end. */
  async shows(text: string): Promise<void> {
    const shown = new Promise<void>((resolve) => {
      const look = () => Object.values(this.#seen).some((seen) => seen.includes(text)) && resolve();
      this.#watchers.push(look);
      look();
    });
    await Promise.race([shown, this.ended]);
  }
}

describe('cpi for operators', () => {
  let stage: Stage;
  let folder: string;
  let configPath: string;
  let stemcellPath: string;
  let lightPath: string;

  beforeAll(async () => {
    stage = await embeddedStage();
    folder = await mkdtemp(join(tmpdir(), 'cpi-operator-'));
    configPath = join(folder, 'cpi.json');
    stemcellPath = join(folder, 'stemcell.tgz');
    await writeFile(configPath, JSON.stringify({ cloud: { properties: stage.properties } }));
    await writeFile(stemcellPath, await wholeStemcell(ROOT_IMAGE));
  });

  beforeEach(async () => {
    const outputs = await mkdtemp(join(folder, 'outputs-'));
    lightPath = join(outputs, 'light.tgz');
  });

  afterEach(() => {
    const left = stage.embedded?.leftovers();
    stage.embedded?.restore();
    stage.injector.reset();
    expect(left).toEqual([]);
  });

  afterAll(async () => {
    await stage.close();
    await rm(folder, { recursive: true });
  });

  async function run(...args: string[]): Promise<Ended> {
    const ended = await new Started('dist/cpi', args).ended;
    refuseSecrets([ended.stdout, ended.stderr], stage.secrets());
    return ended;
  }

  const uploadArgs = (...more: string[]) => [
    'upload-stemcell',
    stemcellPath,
    '--config',
    configPath,
    ...more,
  ];
  const lightFolder = () => readdir(join(lightPath, '..'));
  const imageIdIn = (text: string) => /Image (\S+) /.exec(text)?.[1] ?? '';

  async function discard(imageId: string): Promise<void> {
    const { status } = await run('delete-stemcell-image', imageId, '--config', configPath);
    expect(status).toBe(0);
  }

  /** Holds the upload until what it is for is done. */
  function duringUpload(meanwhile: () => unknown): void {
    stage.injector.inject({ match: UPLOAD, fault: { atByte: 1000, meanwhile }, times: 1 });
  }

  describe('upload-stemcell', () => {
    it('makes an image of a stemcell, and a light stemcell of which BOSH makes the same', async () => {
      const { stdout, stderr, status } = await run(...uploadArgs('--light', lightPath));

      const imageId = imageIdIn(stdout);
      expect(stdout).toBe(
        `Image ${imageId} of ${stemcellName} is active.\n` +
          `Its light stemcell is ${lightPath}. Give it to a Director:\n\n  bosh upload-stemcell ${lightPath}\n`,
      );
      expect([stderr, status]).toEqual(['', 0]);
      expect(await stage.operator.image(imageId)).toMatchObject({
        name: stemcellName,
        status: 'active',
        os_distro: 'ubuntu',
        bosh_stemcell_source: 'file:stemcell.tgz',
      });
      expect(ROOT_IMAGE.equals(await stage.operator.imageData(imageId))).toBe(true);
      const manifest = spawnSync('tar', ['-xzOf', lightPath, 'stemcell.MF']).stdout.toString();
      expect(manifest).toContain(`image_id: "${imageId}"`);
      const properties = { ...stemcellProperties, image_id: imageId };
      expect(resultOf(await stage.cpi.call('create_stemcell', ['', properties]))).toBe(`${imageId} light`);
      await discard(imageId);
    });

    it('says how to come by a light stemcell where none was asked for', async () => {
      const { stdout, status } = await run(...uploadArgs());

      expect(status).toBe(0);
      expect(stdout).toMatch(
        /^Image \S+ of \S+ is active\.\nBOSH uses it by a light stemcell, .*--light.*\n$/,
      );
      await discard(imageIdIn(stdout));
    });

    it('overwrites a light stemcell when it is told to', async () => {
      await writeFile(lightPath, 'an old one');

      const refused = await run(...uploadArgs('--light', lightPath));
      const forced = await run(...uploadArgs('--light', lightPath, '--force'));

      expect(refused.status).toBe(1);
      expect(refused.stderr).toBe(
        `cpi upload-stemcell: --light names '${lightPath}', which exists: give --force to overwrite it, or another name\n`,
      );
      expect(forced.status).toBe(0);
      expect((await readFile(lightPath)).subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
      await discard(imageIdIn(forced.stdout));
    });

    it.each([
      ['a folder that there is not', () => join(folder, 'no', 'light.tgz'), /there is no folder '.*no'\n$/],
      ['a folder', () => folder, /'.*' is a folder\n$/],
      ['the stemcell', () => stemcellPath, /must name another file than the stemcell/],
    ])('refuses %s for the light stemcell, and asks nobody', async (_, path, message) => {
      const { stdout, stderr, status } = await run(...uploadArgs('--light', path(), '--force'));

      expect([stdout, status]).toEqual(['', 1]);
      expect(stderr).toMatch(message);
      expect(stage.injector.requests).toEqual([]);
    });

    it('leaves no image when the light stemcell cannot be written', async () => {
      const outputs = join(folder, 'taken-away');
      await mkdir(outputs);
      duringUpload(() => rm(outputs, { recursive: true }));

      const { stderr, status } = await run(...uploadArgs('--light', join(outputs, 'light.tgz')));

      expect(status).toBe(1);
      expect(stderr).toMatch(/^cpi upload-stemcell: Cannot write the light stemcell: ENOENT/);
    });

    it('leaves neither image nor light stemcell of a stemcell that is damaged', async () => {
      const damagedPath = join(folder, 'damaged.tgz');
      await writeFile(damagedPath, (await readFile(stemcellPath)).subarray(0, 2_000_000));

      const { stdout, stderr, status } = await run(
        'upload-stemcell',
        damagedPath,
        '--light',
        lightPath,
        '--config',
        configPath,
      );

      expect([stdout, status]).toEqual(['', 1]);
      expect(stderr).toMatch(/^cpi upload-stemcell: Extracting stemcell root image failed\. .*ends early/);
      expect(await lightFolder()).toEqual([]);
    });

    it('tells nothing that is secret in a URL', async () => {
      const [password, signature] = ['MARKED-SECRET-url-4711', 'MARKED-SECRET-signature-4711'];
      const url = `https://operator:${password}@127.0.0.1:9/stemcell.tgz?X-Amz-Signature=${signature}`;

      const ended = await run('upload-stemcell', url, '--config', configPath, '--verbose');

      expect(ended.status).toBe(1);
      expect(ended.stderr).toContain('ECONNREFUSED');
      refuseSecrets([ended.stderr], [password, signature]);
    });

    it('shows requests when it is told to, and warnings in any case', async () => {
      const stemcells = { ...stage.properties, openstack: { ...stage.properties.openstack, tenant: 'old' } };
      const path = join(folder, 'warning.json');
      await writeFile(path, JSON.stringify({ cloud: { properties: stemcells } }));

      const quiet = await run('upload-stemcell', stemcellPath, '--config', path);
      const verbose = await run('upload-stemcell', stemcellPath, '--config', path, '--verbose');

      // On a slow machine, it tells how far it is as well.
      expect(quiet.stderr.replaceAll(/^.* MB\/s\n/gm, '')).toBe(
        'warning: openstack.tenant is ignored: Keystone v3 has projects, see openstack.project\n',
      );
      expect(verbose.stderr).toMatch(/ DEBUG http\.request PUT http:\S+\/images\/\S+\/file/);
      await discard(imageIdIn(quiet.stdout));
      await discard(imageIdIn(verbose.stdout));
    });

    it('runs here, and needs credentials for that, wherever functions run', async () => {
      const path = join(folder, 'remote.json');
      const invoker = { target: 'lambda', lambda: { region: 'eu-central-1' } };
      const local = join(folder, 'both.json');
      await writeFile(path, JSON.stringify({ cloud: { properties: { invoker } } }));
      await writeFile(local, JSON.stringify({ cloud: { properties: { ...stage.properties, invoker } } }));

      const without = await run('upload-stemcell', stemcellPath, '--config', path);
      const having = await run('upload-stemcell', stemcellPath, '--config', local);

      expect(without.status).toBe(1);
      expect(without.stderr).toContain('needs openstack.auth_url and credentials in the configuration');
      expect(having.status).toBe(0);
      await discard(imageIdIn(having.stdout));
    });

    it.each([
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const)('leaves nothing behind when %s stops it', async (signal, expected) => {
      const cpi = new Started('dist/cpi', uploadArgs('--light', lightPath));
      duringUpload(() => {
        cpi.child.kill(signal);
        return cpi.ended;
      });

      const { stdout, stderr, status } = await cpi.ended;

      expect([stdout, status]).toEqual(['', expected]);
      expect(stderr).toMatch(/^cpi upload-stemcell: stopping, removing what was uploaded/);
      expect(stderr).toContain('cpi upload-stemcell: upload_stemcell was cancelled\n');
      expect(await lightFolder()).toEqual([]);
    });

    it('ends at once at a second signal', async () => {
      const cpi = new Started('dist/cpi', uploadArgs());
      duringUpload(() => {
        cpi.child.kill('SIGINT');
        return cpi.ended;
      });
      stage.injector.inject({
        match: {
          service: 'image',
          method: 'GET',
          path: '/images',
          when: () => cpi.child.kill('SIGINT'),
        },
        fault: { first: () => cpi.ended.then(() => {}), reset: 'before' },
      });

      const { status } = await cpi.ended;

      expect(status).toBe(130);
      expect(sent(stage, 'DELETE', /^\/images\//)).toEqual([]);
      stage.embedded?.restore();
    });
  });

  describe.skipIf(!hasScript)('on a terminal', () => {
    function onTerminal(args: string[], columns = 100): Started {
      const command = ['stty', 'cols', `${columns};`, 'exec', 'dist/cpi', ...args].join(' ');
      return new Started('script', ['--quiet', '--return', '--command', command, '/dev/null']);
    }

    it('shows a bar, which is gone at the end', async () => {
      const cpi = onTerminal(uploadArgs());
      duringUpload(() => cpi.shows('MB/s'));

      const { stdout, status } = await cpi.ended;

      expect(status).toBe(0);
      expect(stdout).toMatch(/[━=]+.*\d+ % of 3\.0 MB, \d+\.\d MB\/s \[\d+s\]/);
      expect(stdout).toMatch(/Image \S+ of \S+ is active\.\r\n/);
      await discard(imageIdIn(stdout));
    });

    it('shows no bar where there is no room for it', async () => {
      const { stdout, status } = await onTerminal(uploadArgs(), 0).ended;

      expect(status).toBe(0);
      expect(stdout).toMatch(/^Image \S+ of \S+ is active\.\r\nBOSH uses it [^\r]*\r\n$/);
      await discard(imageIdIn(stdout));
    });

    it('leaves nothing behind after Ctrl-C', async () => {
      const cpi = onTerminal(uploadArgs('--light', lightPath));
      duringUpload(async () => {
        await cpi.shows('MB/s');
        cpi.child.stdin?.write('\x03');
        await cpi.ended;
      });

      const { stdout, status } = await cpi.ended;

      expect(status).toBe(130);
      expect(stdout).toContain('cpi upload-stemcell: upload_stemcell was cancelled\r\n');
      expect(await lightFolder()).toEqual([]);
    });
  });

  describe('delete-stemcell-image', () => {
    it('deletes an image by what it was made of', async () => {
      const imageId = imageIdIn((await run(...uploadArgs())).stdout);

      const outcome = await run('delete-stemcell-image', 'file:stemcell.tgz', '--config', configPath);

      expect(outcome).toEqual({ stdout: `Image ${imageId} is deleted.\n`, stderr: '', status: 0 });
      expect(await stage.operator.image(imageId)).toBeUndefined();
    });

    it('fails when there is no such image', async () => {
      const { stdout, stderr, status } = await run(
        'delete-stemcell-image',
        's3://stemcells/gone.tgz',
        '--config',
        configPath,
      );

      expect([stdout, status]).toEqual(['', 1]);
      expect(stderr).toBe(
        "cpi delete-stemcell-image: No image that was made of 's3://stemcells/gone.tgz' found in OpenStack\n",
      );
    });
  });

  it.each([['--help'], ['-h'], ['upload-stemcell', '--help']])('shows its usage for %s', async (...args) => {
    const { stdout, stderr, status } = await run(...args);

    expect(stdout).toMatch(/^Usage:\n.*cpi upload-stemcell.*cpi delete-stemcell-image/s);
    expect([stderr, status]).toEqual(['', 0]);
  });

  it.each([
    ['an unknown command', ['request.json'], "there is no command 'request.json'"],
    ['no stemcell', ['upload-stemcell'], 'upload-stemcell takes one FILE or URL, got none'],
    ['two stemcells', ['upload-stemcell', 'a', 'b'], 'upload-stemcell takes one FILE or URL, got 2'],
    [
      'an option of another command',
      ['delete-stemcell-image', 'a', '--light', 'b'],
      'delete-stemcell-image has no option --light',
    ],
    ['an unknown option', ['upload-stemcell', 'a', '--fast'], "Unknown option '--fast'"],
    [
      'an option without its value',
      ['upload-stemcell', 'a', '--light'],
      "Option '--light <value>' argument missing",
    ],
  ])('answers %s with its usage', async (_, args, message) => {
    const { stdout, stderr, status } = await run(...args);

    expect([stdout, status]).toEqual(['', 2]);
    expect(USAGE.exec(stderr)?.[1]).toContain(message);
  });

  it.each([
    [
      'no configuration',
      ['delete-stemcell-image', 'a', '--config', '/no/such/file'],
      "cpi delete-stemcell-image: Cannot read the configuration '/no/such/file' (ENOENT); give its path with --config\n",
    ],
    [
      'no such file',
      ['upload-stemcell', '/no/such/file'],
      "cpi upload-stemcell: The stemcell '/no/such/file' must be a file that can be read (ENOENT)\n",
    ],
    [
      'a folder',
      ['upload-stemcell', '/'],
      "cpi upload-stemcell: The stemcell '/' must be a file, it is a folder\n",
    ],
  ])('says what is missing: %s', async (_, args, message) => {
    expect(await run(...args)).toEqual({ stdout: '', stderr: message, status: 1 });
  });

  it('says which URLs there are', async () => {
    const { stderr, status } = await run('upload-stemcell', 'http://a.example/b', '--config', configPath);

    expect(stderr).toMatch(
      /^cpi upload-stemcell: A stemcell must be a path, an s3:\/\/ or an https:\/\/ URL/,
    );
    expect(status).toBe(1);
  });
});
