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
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: names.map((name) => ({ in: `main:${name}`, out: name })),
    outdir: folder,
    plugins: [mains, leanAxios],
    bundle: true,
    minify: true,
    keepNames: true,
    format: 'cjs',
    platform: 'node',
    target: 'node22',
    supported: { 'dynamic-import': false },
    alias: { 'form-data': './scripts/no-forms.ts' },
    // Only for configuration that is kept in AWS.
    external: ['@aws-sdk/*'],
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
  });
  await mkdir(folder, { recursive: true });
  return Promise.all(
    outputFiles.map(async ({ path, contents }) => {
      const files: Zippable = {
        'main.js': [contents, { mtime: CHANGED }],
        // Whatever a runtime's own package says.
        'package.json': [Buffer.from('{"type":"commonjs"}\n'), { mtime: CHANGED }],
      };
      const zipPath = join(folder, `${basename(path, '.js')}.zip`);
      await writeFile(zipPath, zipSync(files, { level: 6 }));
      return zipPath;
    }),
  );
}
