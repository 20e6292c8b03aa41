import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { type Zippable, zipSync } from 'fflate';
import { deployedFunctions } from '../functions/index.ts';
import { leanAxios } from './lean-axios.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Of every file in an archive, so that equal sources make equal archives. */
const CHANGED = '1980-01-02T00:00:00';

/** What opens a bucket, and has the S3 client with it: Qinling's runtime has nothing of the AWS SDK. */
const WITH_BUCKET: ReadonlySet<string> = new Set([
  'create-stemcell',
  'stage-stemcell',
  'stemcell-uploaded',
  'delete-stemcell-image',
]);
/** Only for configuration that is kept in AWS. */
const FOR_AWS = ['@aws-sdk/client-ssm', '@aws-sdk/credential-providers'];

/** The main module of each package, which is in no file. */
const mains: Plugin = {
  name: 'mains',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^main:/ }, ({ path }) => ({ path, namespace: 'main' }));
    onLoad({ filter: /.*/, namespace: 'main' }, ({ path }) => {
      const name = path.slice('main:'.length);
      const contents = `import { handler } from '#functions/${name}.ts';
import { qinlingMain } from '#lib/host/qinling.ts';
export const main = qinlingMain('${name.replaceAll('-', '_')}', handler);`;
      return { contents, resolveDir: ROOT };
    });
  },
};

/**
 * Makes `<method in kebab-case>.zip` for each method: what Qinling's Node.js runtime loads as `main.main`.
 * @returns their paths
 */
export async function packageForQinling(
  folder: string,
  methods: readonly string[] = Object.keys(deployedFunctions),
): Promise<string[]> {
  const names = methods.map((method) => method.replaceAll('_', '-'));
  const bundles = await Promise.all([
    bundled(
      names.filter((name) => WITH_BUCKET.has(name)),
      FOR_AWS,
    ),
    bundled(
      names.filter((name) => !WITH_BUCKET.has(name)),
      ['@aws-sdk/*'],
    ),
  ]);
  await mkdir(folder, { recursive: true });
  return Promise.all(
    bundles.flat().map(async ({ name, contents }) => {
      const files: Zippable = {
        'main.js': [contents, { mtime: CHANGED }],
        // Whatever a runtime's own package says.
        'package.json': [Buffer.from('{"type":"commonjs"}\n'), { mtime: CHANGED }],
      };
      const zipPath = join(folder, `${name}.zip`);
      await writeFile(zipPath, zipSync(files, { level: 6 }));
      return zipPath;
    }),
  );
}

/** @param external packages that are left out */
async function bundled(
  names: string[],
  external: string[],
): Promise<{ name: string; contents: Uint8Array }[]> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: names.map((name) => ({ in: `main:${name}`, out: name })),
    outdir: '.',
    plugins: [mains, leanAxios],
    bundle: true,
    minify: true,
    keepNames: true,
    format: 'cjs',
    platform: 'node',
    target: 'node22',
    supported: { 'dynamic-import': false },
    alias: { 'form-data': './scripts/no-forms.ts' },
    // Of ECMAScript modules, what nothing uses is left out.
    mainFields: ['module', 'main'],
    external,
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
  });
  return outputFiles.map(({ path, contents }) => ({ name: basename(path, '.js'), contents }));
}
