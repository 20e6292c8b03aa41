import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { deployedFunctions } from '#functions/index.ts';
import { leanAxios } from '../../../scripts/lean-axios.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Every function as serverless.yml has it packaged, and the program that runs one. */
export interface Bundles {
  /** Path by the function's name, `create-vm`. */
  functions: ReadonlyMap<string, string>;
  runtime: string;
  /** Where what the bundles leave to Lambda's runtime is found. */
  modules: string;
  remove(): Promise<void>;
}

export async function bundleFunctions(): Promise<Bundles> {
  const folder = await mkdtemp(join(tmpdir(), 'cpi-functions-'));
  const names = Object.keys(deployedFunctions).map((method) => method.replaceAll('_', '-'));
  await build({
    absWorkingDir: ROOT,
    entryPoints: [
      ...names.map((name) => ({ in: `functions/${name}.ts`, out: name })),
      { in: 'test/support/lambda-invoke-server/runtime.ts', out: 'runtime' },
    ],
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    minify: true,
    keepNames: true,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    legalComments: 'none',
    supported: { 'dynamic-import': false },
    alias: { 'form-data': './scripts/no-forms.ts' },
    plugins: [leanAxios],
    external: ['@aws-sdk/*'],
    logLevel: 'warning',
  });
  return {
    functions: new Map(names.map((name) => [name, join(folder, `${name}.cjs`)])),
    runtime: join(folder, 'runtime.cjs'),
    modules: join(ROOT, 'node_modules'),
    remove: () => rm(folder, { recursive: true }),
  };
}
