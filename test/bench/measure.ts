import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

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
const USAGE = fileURLToPath(new URL('usage.cjs', import.meta.url));

/**
 * Runs a program that is Node.js, or execs it, with a Director's environment.
 * @param folder its working directory, and what its environment names as home and for temporary files
 */
export async function measured(
  command: string,
  args: string[],
  input: string,
  folder?: string,
): Promise<Measured> {
  const start = performance.now();
  const child = spawn(command, args, {
    env: {
      ...ENVIRONMENT,
      ...(folder ? { HOME: folder, TMPDIR: folder } : {}),
      NODE_OPTIONS: `--require ${USAGE}`,
    },
    ...(folder ? { cwd: folder } : {}),
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(input);
  const [stdout, stderr, usage] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    text(child.stdio[3] as Readable),
  ]);
  const wallMs = performance.now() - start;
  const { cpuMs, peakKib, writtenBytes } = JSON.parse(usage);
  return { stdout, stderr, wallMs, cpuMs, peakMib: peakKib / 1024, writtenBytes };
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
