import { mkdir } from 'node:fs/promises';
import { type Architecture, makeExecutable, ownArchitecture } from '../single-executable.ts';
import { nodeBinary } from './node-binary.ts';
import type { Entry } from './tarball.ts';

const FOLDER = 'build/release';
const BUNDLE = 'dist/cpi.cjs';

export type Programs = Record<Architecture, string>;

/** Paths of the CPI's executables, made from what `npm run build` has made, which is one of them. */
export async function programs(): Promise<Programs> {
  const own = ownArchitecture();
  const other = own === 'x64' ? 'arm64' : 'x64';
  await mkdir(FOLDER, { recursive: true });
  const made = await makeProgram(other, `${FOLDER}/cpi-linux-${other}`);
  return own === 'x64' ? { x64: 'dist/cpi', arm64: made } : { x64: made, arm64: 'dist/cpi' };
}

/** @returns the path */
export async function makeProgram(architecture: Architecture, output: string): Promise<string> {
  await makeExecutable({ bundle: BUNDLE, node: await nodeBinary(architecture), architecture, output });
  return output;
}

/** What the package holds beside its packaging script: the programs, and the bundle for the Node.js of other machines. */
export function packageFiles({ x64, arm64 }: Programs): Entry[] {
  return [
    { name: 'cpi-linux-x64', content: { path: x64 }, isExecutable: true },
    { name: 'cpi-linux-arm64', content: { path: arm64 }, isExecutable: true },
    { name: 'cpi.cjs', content: { path: BUNDLE } },
  ];
}
