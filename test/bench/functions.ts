import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';
import { functions as table } from '#functions/index.ts';
import { median, verdict } from './measure.ts';

const run = promisify(execFile);

const RUNS = 7;
const MAX_ZIP_BYTES = 150_000;
const MAX_IMPORT_MS = 60;
/** In a process of its own, which has imported nothing before. */
const IMPORT = `const start = performance.now();
require(process.argv[1]);
process.stdout.write(String(performance.now() - start));`;

/** Size and cold start of each packaged function: how long a Node.js that has just started takes to import it. */
export async function functions(): Promise<void> {
  await run('npm', ['run', '--silent', 'build:validators']);
  await run('serverless', ['package'], { maxBuffer: 2 ** 26 });
  const folder = await mkdtemp(join(tmpdir(), 'cpi-bench-'));
  const sizes: number[] = [];
  const medians: number[] = [];
  try {
    console.log(`Packaged functions; import is the median of ${RUNS} processes, ${process.version}\n`);
    console.log(row('function', 'zip KB', 'import ms'));
    const packages = await Promise.all(
      Object.keys(table).map(async (method) => {
        const name = method.replaceAll('_', '-');
        const zip = await readFile(join('.serverless', `${name}.zip`));
        return { name, bytes: zip.length, path: await unpacked(zip, name, folder), times: [] as number[] };
      }),
    );
    // In turns, so that all see the same machine.
    for (let count = 0; count < RUNS; count++) {
      for (const { path, times } of packages) {
        times.push(await importTime(path));
      }
    }
    for (const { name, bytes, times } of packages) {
      sizes.push(bytes);
      medians.push(median(times));
      console.log(row(name, (bytes / 1000).toFixed(1), median(times).toFixed(1)));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  const [largest, slowest] = [Math.max(...sizes), Math.max(...medians)];
  console.log(`
Targets: ${MAX_ZIP_BYTES / 1000} KB zipped ${verdict(largest <= MAX_ZIP_BYTES)} (${(largest / 1000).toFixed(1)} KB), ${MAX_IMPORT_MS} ms to import ${verdict(slowest <= MAX_IMPORT_MS)} (${slowest.toFixed(1)} ms)`);
}

/** @returns the path of its code */
async function unpacked(zip: Buffer, name: string, folder: string): Promise<string> {
  for (const [file, content] of Object.entries(unzipSync(zip))) {
    const path = join(folder, name, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  return join(folder, name, 'functions', `${name}.cjs`);
}

async function importTime(path: string): Promise<number> {
  // What Lambda's runtime has.
  const env = { NODE_PATH: resolve('node_modules') };
  const { stdout } = await run(process.execPath, ['-e', IMPORT, path], { env });
  return Number(stdout);
}

function row(name: string, ...columns: string[]): string {
  return `  ${name.padEnd(32)}${columns.map((column) => column.padStart(10)).join('')}`;
}
