import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { Fault, FaultRule } from '../support/cloud.ts';
import { directorRequest, openstackProperties } from '../support/cpi.ts';
import { htmlError } from '../support/embedded/http.ts';
import { startFunctionProcess } from '../support/function-process.ts';
import { type ArchiveSite, startArchiveSites } from './archive-sites.ts';
import { type Answer, type Attempt, type Call, faultStage, formOf } from './fault-stage.ts';
import { cloudError, pattern } from './messages.ts';

/** Uploads of a stemcell whose first upload breaks off: the first one and two more. */
const UPLOADS = 3;
const PATIENCE_SECONDS = 0.2;
const IMPATIENT = { read_timeout: PATIENCE_SECONDS, write_timeout: PATIENCE_SECONDS };
const HEX = '[0-9a-f]+';

const stage = await faultStage();
const sites = await startArchiveSites();
stage.secrets.push(...sites.secrets);
afterAll(async () => {
  await sites.close();
  await stage.close();
});

beforeEach(() => {
  stage.embedded.restore();
  stage.injector.reset();
  sites.reset();
});

/** More than is read at once. */
const rootImage = randomBytes(1_500_000);
const archive = gzipSync(await tarOf({ 'stemcell.txt': Buffer.from('x'), 'root.img': rootImage }));
const imageProperties = { name: 'ubuntu', version: '1', disk_format: 'raw', container_format: 'bare' };

async function tarOf(files: Record<string, Buffer>): Promise<Buffer> {
  const tar = pack();
  for (const [name, data] of Object.entries(files)) {
    tar.entry({ name }, data);
  }
  tar.finalize();
  return buffer(tar);
}

/** Of so many bytes: the first one, one in the middle, the last one. */
function places(bytes: number): [place: string, before: number][] {
  return [
    ['first byte', 0],
    ['middle', Math.floor(bytes / 2)],
    ['last byte', bytes - 1],
  ];
}

async function upload(
  site: ArchiveSite,
  options: Record<string, number> = {},
  attempt: Attempt = {},
): Promise<Answer> {
  return stage.call(callOf(site, options), attempt);
}

function callOf(site: ArchiveSite, options: Record<string, number> = {}): Call {
  return {
    method: 'create_stemcell',
    args: [site.location, imageProperties],
    openstack: { connection_options: { ...sites.connectionOptions, ...options } },
    stemcells: sites.stemcells,
  };
}

function uploads(): number {
  return stage.injector.requests.filter((request) => formOf(request) === 'PUT image /images/{id}/file')
    .length;
}

function expectUploaded({ result, error }: Pick<Answer, 'result' | 'error'>): void {
  expect(error).toBeNull();
  expect(stage.embedded.leftovers()).toEqual([{ kind: 'image', id: result, name: 'ubuntu/1' }]);
  expect(stage.embedded.images.get(result)?.status).toBe('active');
  expect(stage.embedded.imageBytes.get(result)?.equals(rootImage)).toBe(true);
}

function expectNothingMade({ result, error }: Answer, message: RegExp): void {
  expect({ result, type: error?.type, ok_to_retry: error?.ok_to_retry }).toEqual({
    result: null,
    type: cloudError().type,
    ok_to_retry: false,
  });
  expect(error?.message).toMatch(message);
  expect(stage.embedded.leftovers()).toEqual([]);
}

/** For no test that never runs. */
function describeWhere(condition: unknown): (title: string, tests: () => void) => void {
  return (title, tests) => {
    if (condition) {
      describe(title, tests);
    }
  };
}

const toFile = { service: 'image', method: 'PUT', path: /\/file$/ } as const;
const toImage = { service: 'image', method: 'GET', path: /^\/images\/[^/]+$/ } as const;

function html(
  status: number,
  detail: string,
): { status: number; body: unknown; headers: Record<string, string> } {
  const { body, headers = {} } = htmlError(status, detail);
  return { status, body, headers };
}

/** What the CPI says of an upload that Glance refuses so. */
function refused(status: number, said: string): RegExp {
  return new RegExp(
    `^OpenStack API PUT image /\\S+/images/\\S+/file failed with ${status} [^\\n]+: ${status} ${said}\\.?( \\(request id \\S+\\))?\\.\\nCheck task debug log for details\\.$`,
  );
}

const overQuota = html(413, 'Image exceeds the storage quota');

async function deleteImage(): Promise<void> {
  const [{ id } = { id: '' }] = stage.embedded.leftovers();
  await expect.poll(() => stage.embedded.images.get(id)?.status, { interval: 1 }).toBe('saving');
  stage.embedded.images.delete(id);
}

describe.each(sites.all.map((site): [string, ArchiveSite] => [site.title, site]))(
  'create_stemcell of %s',
  (_, site) => {
    beforeEach(() => site.put(archive));

    it('uploads what it reads, once', async () => {
      const answer = await upload(site);

      expectUploaded(answer);
      expect(uploads()).toBe(1);
      expect(site.readings?.() ?? 1).toBe(1);
    });

    describe('that is damaged', () => {
      it.each([...places(archive.length), ['end of the compressed data', archive.length - 8] as const])(
        'cut off before the %s',
        async (_, bytes) => {
          await site.put(archive.subarray(0, bytes));

          const answer = await upload(site);

          expectNothingMade(
            answer,
            /^Extracting stemcell root image failed\. .*\((it is empty|it is damaged, or ends early: unexpected end of file)\)$/,
          );
          expect(uploads()).toBeLessThanOrEqual(1);
        },
      );

      it.each(places(rootImage.length))(
        'cut off before the %s of root.img, within whole compressed data',
        async (_, bytes) => {
          const tar = gunzipSync(archive);
          const start = tar.indexOf(rootImage.subarray(0, 100));
          await site.put(gzipSync(tar.subarray(0, start + bytes)));

          const answer = await upload(site);

          expectNothingMade(
            answer,
            /^Extracting stemcell root image failed\. .*\(it is damaged, or ends early: Unexpected end of data\)$/,
          );
          expect(uploads()).toBeLessThanOrEqual(1);
        },
      );

      it('changed in one byte that can be read all the same', async () => {
        const stored = gzipSync(gunzipSync(archive), { level: 0 });
        const at = stored.indexOf(rootImage.subarray(1000, 1020));
        stored[at] = (stored[at] ?? 0) ^ 1;
        await site.put(stored);

        const answer = await upload(site);

        expectNothingMade(
          answer,
          /^Extracting stemcell root image failed\. .*\(it is damaged, or ends early: incorrect data check\)$/,
        );
        expect(uploads()).toBe(1);
      });

      it('without a root.img, asks nothing of OpenStack', async () => {
        await site.put(gzipSync(await tarOf({ 'other.img': rootImage })));

        const answer = await upload(site);

        expectNothingMade(answer, /^Root image is missing from stemcell archive$/);
        expect(stage.injector.requests).toEqual([]);
      });

      it('of another format than it should be, asks nothing of OpenStack', async () => {
        await site.put(
          gzipSync(
            await tarOf({ 'root.img': Buffer.concat([Buffer.from('QFI\u00fb', 'latin1'), rootImage]) }),
          ),
        );

        const answer = await upload(site);

        expectNothingMade(
          answer,
          /^root\.img is not a raw image, although disk_format is 'raw': it begins like a qcow2 image$/,
        );
        expect(stage.injector.requests).toEqual([]);
      });
    });

    describeWhere(site.inject)('whose connection fails', () => {
      const inject: NonNullable<ArchiveSite['inject']> = (...rule) => site.inject?.(...rule);
      const cannotRead = (reason: string) =>
        new RegExp(`^Cannot read ${site.location.replace(/\?.*/, '')}: .*${reason}`);

      it.each(places(archive.length))(
        'broken once before the %s, is read again',
        async (_, breakAfterBytes) => {
          inject({ breakAfterBytes }, 1);

          const answer = await upload(site);

          expectUploaded(answer);
          expect(site.readings?.()).toBe(2);
          expect(uploads()).toBeLessThanOrEqual(2);
        },
      );

      it.each(places(archive.length))('broken each time before the %s', async (_, breakAfterBytes) => {
        inject({ breakAfterBytes });

        const answer = await upload(site);

        expectNothingMade(
          answer,
          cannotRead('(the connection broke off|aborted|connection closed|ECONNRESET|socket hang up)'),
        );
        expect(site.readings?.()).toBe(UPLOADS);
      });

      it.each(places(archive.length))(
        'silent once before the %s, is read again',
        async (_, stallAfterBytes) => {
          inject({ stallAfterBytes }, 1);

          const answer = await upload(site, { read_timeout: PATIENCE_SECONDS });

          expectUploaded(answer);
          expect(site.readings?.()).toBe(2);
        },
      );

      it.each(places(archive.length))('silent each time before the %s', async (_, stallAfterBytes) => {
        inject({ stallAfterBytes });

        const answer = await upload(site, { read_timeout: PATIENCE_SECONDS }, { retries: 1 });

        expectNothingMade(answer, cannotRead(`nothing came for ${PATIENCE_SECONDS} s`));
        expect(site.readings?.()).toBe(2);
      });

      it.each([403, 404])('answered with %i, is not asked for again', async (status) => {
        inject({ status });

        const answer = await upload(site);

        expectNothingMade(answer, cannotRead(String(status)));
        expect(site.readings?.()).toBe(1);
        expect(stage.injector.requests).toEqual([]);
      });
    });

    describe('that Glance does not take', () => {
      // Where the data came from makes no difference to most of it.
      const isAnyPlace = !site.inject;
      const at = (fault: (before: number) => Fault) =>
        places(rootImage.length)
          .filter(([place]) => isAnyPlace || place === 'middle')
          .map(([place, before]): [string, Fault] => [place, fault(before)]);
      const once = (fault: Fault): FaultRule => ({ match: toFile, fault, times: 1 });
      const always = (fault: Fault): FaultRule => ({ match: toFile, fault });

      it.each(at((flippedByte) => ({ flippedByte })))(
        'stored with another %s than was sent',
        async (_, fault) => {
          stage.injector.inject(always(fault));

          const answer = await upload(site);

          expectNothingMade(
            answer,
            new RegExp(
              `^Image \`\\S+' is not what was sent: sha512 of what was sent is ${HEX}, Glance has ${HEX}$`,
            ),
          );
          expect(uploads()).toBe(1);
        },
      );

      it.each([
        ['size', { size: 1 }],
        ['sha512', { os_hash_value: 'ab' }],
        ['md5', { checksum: 'ab' }],
      ])('reported with another %s', async (name, reported) => {
        stage.injector.inject({
          match: toImage,
          fault: { rewrite: (body) => ({ ...Object(body), ...reported }) },
        });

        const answer = await upload(site);

        expectNothingMade(
          answer,
          new RegExp(
            `^Image \`\\S+' is not what was sent: ${name} of what was sent is ${HEX}, Glance has \\w+$`,
          ),
        );
        expect(uploads()).toBe(1);
      });

      it.each<[string, Fault]>([
        ['head', { ...overQuota, afterBytes: 0 }],
        ...at((before) => ({ ...overQuota, afterBytes: before + 1 })),
      ])('over a quota, refused by its %s', async (_, fault) => {
        stage.injector.inject(always(fault));

        const answer = await upload(site);

        expectNothingMade(answer, refused(413, 'Request Entity Too Large: Image exceeds the storage quota'));
        expect(uploads()).toBe(1);
      });

      it.each(at((resetAfterBytes) => ({ resetAfterBytes })))(
        'broken once before its %s, is sent again',
        async (_, fault) => {
          stage.injector.inject(once(fault));

          const answer = await upload(site);

          expectUploaded(answer);
          expect(uploads()).toBe(2);
        },
      );

      it.each(at((resetAfterBytes) => ({ resetAfterBytes })))(
        'broken each time before its %s',
        async (_, fault) => {
          stage.injector.inject(always(fault));

          const answer = await upload(site);

          expectNothingMade(
            answer,
            pattern(
              'Unable to connect to the OpenStack Image Service API <url>: <words>. Check task debug log for details.',
              {},
            ),
          );
          expect(uploads()).toBe(UPLOADS);
        },
      );

      describeWhere(isAnyPlace)('in whatever way', () => {
        it.each(at((stallAfterBytes) => ({ stallAfterBytes })))(
          'silent once before it has the %s, is sent again',
          async (_, fault) => {
            stage.injector.inject(once(fault));

            const answer = await upload(site, IMPATIENT);

            expectUploaded(answer);
            expect(uploads()).toBe(2);
          },
        );

        it.each(at((stallAfterBytes) => ({ stallAfterBytes })))(
          'silent each time before it has the %s',
          async (_, fault) => {
            stage.injector.inject(always(fault));

            const answer = await upload(site, IMPATIENT, { retries: 1 });

            expectNothingMade(
              answer,
              pattern(
                `Unable to connect to the OpenStack Image Service API <url>: <words> timeout after ${PATIENCE_SECONDS} s. Check task debug log for details.`,
                {},
              ),
            );
            expect(uploads()).toBe(2);
          },
        );

        it.each([1, rootImage.length / 2, rootImage.length - 1])(
          'deleted when it has %i bytes',
          async (atByte) => {
            stage.injector.inject(always({ atByte, meanwhile: deleteImage }));

            const answer = await upload(site);

            expectNothingMade(answer, refused(410, 'Gone: Image was deleted during the upload'));
            expect(uploads()).toBe(1);
          },
        );

        it.each(['killed', 'deleted', 'deactivated', 'pending_delete', 'error'])(
          'then %s',
          async (status) => {
            stage.injector.inject({
              match: toImage,
              fault: { rewrite: (body) => ({ ...Object(body), status }) },
            });

            const answer = await upload(site);

            expectNothingMade(answer, pattern(`Image \`<id>' state is ${status}, expected active`, {}));
            expect(uploads()).toBe(1);
          },
        );

        it('gone once it has it', async () => {
          stage.injector.inject({ match: toImage, fault: html(404, 'No image found') });

          const answer = await upload(site);

          expectNothingMade(answer, pattern("Image `<id>': Resource not found", {}));
          expect(uploads()).toBe(1);
        });

        it.each([
          [401, 2],
          [404, 1],
          [409, 1],
          [410, 1],
          [413, 1],
          [503, 2],
        ])('refused once with %i by its head, is sent %i times', async (status, times) => {
          stage.injector.inject(once({ ...html(status, 'said so'), afterBytes: 0 }));

          const answer = await upload(site);

          expect(uploads()).toBe(times);
          if (times > 1) {
            expectUploaded(answer);
          } else {
            expectNothingMade(answer, refused(status, '[^\\n]*said so'));
          }
        });

        it.each(
          [401, 409, 503].flatMap((status) =>
            places(rootImage.length).map(([place, before]) => [status, place, before] as const),
          ),
        )('refused each time with %i after its %s', async (status, _, before) => {
          stage.injector.inject(always({ ...html(status, 'said so'), afterBytes: before + 1 }));

          const answer = await upload(site);

          expectNothingMade(answer, refused(status, '[^\\n]*said so'));
          expect(uploads()).toBe(status === 409 ? 1 : UPLOADS);
        });
      });
    });
  },
);

describe('an upload', () => {
  it.each(sites.all.map((site): [string, ArchiveSite] => [site.title, site]))(
    'of %s writes no file, neither when it succeeds nor when it fails',
    async (_, site) => {
      await site.put(archive);
      const { openstack, stemcells } = callOf(site);
      const connection = { ...openstackProperties(stage.cloud, stage.injector.authUrl), ...openstack };
      const properties = { openstack: connection, stemcells };
      const functions = startFunctionProcess({}, { isReadOnly: true });
      const create = (args: unknown[]) => {
        const request = directorRequest('create_stemcell', args);
        return functions.invoke(
          'create_stemcell',
          { ...request, config: { cloud: { properties } } },
          { isInProcess: true },
        );
      };

      const made = await create([site.location, imageProperties]);
      stage.injector.inject({ match: toFile, fault: { status: 413, afterBytes: rootImage.length / 2 } });
      const failed = await create([site.location, imageProperties]);

      expect(await functions.close()).toBe('');
      expectUploaded(made);
      expect(failed.error?.message).toContain('failed with 413');
    },
  );

  it('of which Glance takes no more than fits into buffers is given up after a time without progress', async () => {
    const [site] = sites.all;
    await site?.put(gzipSync(await tarOf({ 'root.img': Buffer.alloc(48_000_000) })));
    stage.injector.inject({ match: toFile, fault: { stallAfterBytes: 1 } });

    const answer = await upload(site as ArchiveSite, { write_timeout: PATIENCE_SECONDS }, { retries: 0 });

    expectNothingMade(answer, new RegExp(`: write timeout after ${PATIENCE_SECONDS} s\\. `));
  });
});
