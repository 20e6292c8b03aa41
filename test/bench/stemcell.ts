import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { stemcellProperties } from '../acceptance/stemcell-archive.ts';
import type { CloudDescription } from '../support/cloud.ts';
import { directorRequest, openstackProperties } from '../support/cpi.ts';
import { added, Operator } from '../support/operator.ts';
import { REAL_CLOUD_FILE, realCloud } from '../support/real-cloud.ts';
import { type LargeStemcell, largeStemcell } from './large-stemcell.ts';
import { measured, median, verdict } from './measure.ts';

const run = promisify(execFile);

const TAR_AND_CURL = 'tar -xzOf "$1" root.img | curl -sS --fail-with-body -T - -H "@$2" "$3"';
const RUNS = 3;
const TARGET_RATIO = 0.9;
const TARGET_MB = 150;
/** What the kernel counts of a process that writes no file: when others were last read. */
const WRITTEN_BYTES = 1024 ** 2;
const MB = 1_000_000;

interface Upload {
  imageId: string;
  seconds: number;
  /** Of dist/cpi. */
  process?: { cpuSeconds: number; peakMb: number; writtenBytes: number; left: string[] };
}

/**
 * The upload of a large stemcell to a real OpenStack, as the Director has dist/cpi do it, beside what an operator would type:
 * `tar | curl`. In turns, so that both see the same machine; each image is checked, and deleted before the next.
 */
export async function stemcell(): Promise<void> {
  const cloud = await realCloud();
  const operator = new Operator(cloud);
  const image = await largeStemcell();
  const before = await operator.inventory();
  const folder = await mkdtemp(join(tmpdir(), 'cpi-bench-'));
  const programs = { 'tar | curl': tarAndCurl, 'dist/cpi': createStemcell };
  const uploads: Record<string, Upload[]> = {};
  try {
    console.log(`${describe(image)}, to ${REAL_CLOUD_FILE}\n`);
    console.log(row('', 'seconds', 'MB/s', 'CPU s', 'peak MB'));
    for (let count = 1; count <= RUNS; count++) {
      for (const [name, upload] of Object.entries(programs)) {
        const done = await upload(
          image,
          cloud,
          operator,
          join(folder, `${name.replace(/\W+/g, '-')}-${count}`),
        );
        console.log(rowOf(name, [done], image));
        uploads[name] = [...(uploads[name] ?? []), done];
        await check(done, image, operator);
      }
    }
    report(uploads, image);
  } finally {
    await rm(folder, { recursive: true });
    const left = added(before, await operator.inventory());
    if (left.length > 0) {
      console.error(`left in the cloud: ${left.join(', ')}`);
      process.exitCode = 1;
    }
  }
}

/** The record is made before, and the login is there: what counts is from the start of tar to the end of curl. */
async function tarAndCurl(
  image: LargeStemcell,
  _cloud: CloudDescription,
  operator: Operator,
  folder: string,
): Promise<Upload> {
  const { status, body } = await operator.request('image', 'POST', '/images', {
    name: 'bench',
    disk_format: 'qcow2',
    container_format: 'bare',
  });
  if (status !== 201) {
    throw new Error(`POST /images: ${status}`);
  }
  const { url, header } = await operator.imageUpload(body.id);
  await mkdir(folder);
  // Where other users of this machine do not see it.
  const headers = join(folder, 'headers');
  await writeFile(headers, `${header}\nContent-Type: application/octet-stream\nExpect:\n`, { mode: 0o600 });
  const start = performance.now();
  await run('sh', ['-c', TAR_AND_CURL, 'sh', image.path, headers, url]);
  const seconds = (performance.now() - start) / 1000;
  return { imageId: body.id, seconds };
}

/** The whole call, with its login, its requests and the wait for the image. */
async function createStemcell(
  image: LargeStemcell,
  cloud: CloudDescription,
  _operator: Operator,
  folder: string,
): Promise<Upload> {
  const config = `${folder}.json`;
  const openstack = openstackProperties(cloud, cloud.auth_url);
  await writeFile(config, JSON.stringify({ cloud: { plugin: 'openstack', properties: { openstack } } }));
  await mkdir(folder);
  const request = directorRequest('create_stemcell', [
    image.path,
    { ...stemcellProperties, disk_format: 'qcow2' },
  ]);
  const { stdout, wallMs, cpuMs, peakMib, writtenBytes } = await measured(
    resolve('dist/cpi'),
    ['--config', config],
    JSON.stringify(request),
    folder,
  );
  const { result, error } = JSON.parse(stdout);
  if (error) {
    throw new Error(`create_stemcell: ${error.type} ${error.message}`);
  }
  return {
    imageId: result,
    seconds: wallMs / 1000,
    process: {
      cpuSeconds: cpuMs / 1000,
      peakMb: (peakMib * 1024 ** 2) / MB,
      writtenBytes,
      left: await readdir(folder),
    },
  };
}

/** Deletes the image as well. */
async function check({ imageId }: Upload, image: LargeStemcell, operator: Operator): Promise<void> {
  const { status, size, os_hash_algo, os_hash_value } = await operator.image(imageId);
  await operator.request('image', 'DELETE', `/images/${imageId}`);
  const found = { status, size, [os_hash_algo]: os_hash_value };
  const expected = { status: 'active', size: image.imageBytes, sha512: image.sha512 };
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`the image is not what was sent: ${JSON.stringify(found)}`);
  }
}

function report(uploads: Record<string, Upload[]>, image: LargeStemcell): void {
  const [[, reference = []] = [], [, ours = []] = []] = Object.entries(uploads);
  const ratio = secondsOf(reference) / secondsOf(ours);
  const processes = ours.flatMap((upload) => upload.process ?? []);
  const peakMb = Math.max(...processes.map((process) => process.peakMb));
  const left = processes.flatMap((process) => process.left);
  const writtenBytes = Math.max(...processes.map((process) => process.writtenBytes));
  for (const [name, runs] of Object.entries(uploads)) {
    console.log(rowOf(`${name}, median`, runs, image));
  }
  console.log(`
Every image was compared with the file by size and SHA-512. Files were looked for in the folder that dist/cpi had as working
directory, home and for temporary files; what it wrote to any file, even to one that was gone at its end, the kernel has counted.

Targets:
  throughput at least ${TARGET_RATIO} of that of tar | curl ${verdict(ratio >= TARGET_RATIO)} (${ratio.toFixed(2)})
  peak memory below ${TARGET_MB} MB ${verdict(peakMb < TARGET_MB)} (${peakMb.toFixed(0)} MB)
  no file written ${verdict(left.length === 0 && writtenBytes <= WRITTEN_BYTES)} (${left.length} files left, ${writtenBytes} bytes written)`);
}

function describe({ imageBytes, packedBytes }: LargeStemcell): string {
  const [size, packed] = [imageBytes, packedBytes].map((bytes) => `${(bytes / 1024 ** 3).toFixed(2)} GiB`);
  return `A stemcell with a qcow2 image of ${size}, ${packed} in its archive`;
}

function rowOf(name: string, uploads: Upload[], { imageBytes }: LargeStemcell): string {
  const seconds = secondsOf(uploads);
  const processes = uploads.flatMap((upload) => upload.process ?? []);
  const usage = (value: (process: NonNullable<Upload['process']>) => number) =>
    processes.length === 0 ? '' : median(processes.map(value)).toFixed(1);
  return row(
    name,
    seconds.toFixed(1),
    (imageBytes / MB / seconds).toFixed(1),
    usage(({ cpuSeconds }) => cpuSeconds),
    usage(({ peakMb }) => peakMb),
  );
}

function secondsOf(uploads: Upload[]): number {
  return median(uploads.map(({ seconds }) => seconds));
}

function row(name: string, ...columns: string[]): string {
  return `  ${name.padEnd(20)}${columns.map((column) => column.padStart(10)).join('')}`;
}
