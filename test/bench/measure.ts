import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

export interface Measured {
  stdout: string;
  stderr: string;
  wallMs: number;
  /** User and system. */
  cpuMs: number;
  peakMib: number;
  /** To files, also to those that are gone by now. */
  writtenBytes: number;
}

const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/tmp', TMPDIR: tmpdir() };

/** Of GNU time: user and system seconds, peak memory in KiB, blocks written. */
const FORMAT = '%U %S %M %O';
const BLOCK_BYTES = 512;

/**
 * Runs a program with a Director's environment.
 * @param folder its working directory, and what its environment names as home and for temporary files
 */
export async function measured(
  command: string,
  args: string[],
  input: string,
  folder?: string,
): Promise<Measured> {
  const own = await mkdtemp(join(tmpdir(), 'measured-'));
  try {
    const start = performance.now();
    const child = spawn('time', ['-q', '-f', FORMAT, '-o', join(own, 'usage'), command, ...args], {
      env: { ...ENVIRONMENT, ...(folder ? { HOME: folder, TMPDIR: folder } : {}) },
      ...(folder ? { cwd: folder } : {}),
    });
    child.stdin.end(input);
    const [stdout, stderr] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    const wallMs = performance.now() - start;
    const usage = await readFile(join(own, 'usage'), 'utf8');
    const [user = 0, system = 0, peakKib = 0, blocks = 0] = usage.trim().split(' ').map(Number);
    const cpuMs = (user + system) * 1000;
    return { stdout, stderr, wallMs, cpuMs, peakMib: peakKib / 1024, writtenBytes: blocks * BLOCK_BYTES };
  } catch (error) {
    throw isMissing(error) ? new Error('GNU time is needed: apt-get install time') : error;
  } finally {
    await rm(own, { recursive: true });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'spawn time';
}

/** Runs a program as it is, and only looks at the clock. */
export async function wallMs(command: string, args: string[], input: string): Promise<number> {
  const start = performance.now();
  const child = spawn(command, args, { env: ENVIRONMENT });
  child.stdin.end(input);
  await Promise.all([text(child.stdout), text(child.stderr)]);
  return performance.now() - start;
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (upper + lower) / 2;
}

export function verdict(isMet: boolean): string {
  if (!isMet) {
    process.exitCode = 1;
  }
  return isMet ? 'met' : 'MISSED';
}
