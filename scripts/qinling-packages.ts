import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type Zippable, zipSync } from 'fflate';
import { functions } from '../functions/index.ts';

/** Of every file in an archive, so that equal sources make equal archives. */
const CHANGED = '1980-01-02T00:00:00';

/**
 * Makes `<method in kebab-case>.zip` for each method: what Qinling's Node.js runtime loads as `main.main`.
 * @returns their paths
 */
export async function packageForQinling(
  folder: string,
  methods: readonly string[] = Object.keys(functions),
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  return Promise.all(
    methods.map(async (method) => {
      const name = method.replaceAll('_', '-');
      const path = join(folder, `${name}.zip`);
      const files: Zippable = {
        'main.js': [await bundle(method, name), { mtime: CHANGED }],
        // Whatever a runtime's own package says.
        'package.json': [Buffer.from('{"type":"commonjs"}\n'), { mtime: CHANGED }],
      };
      await writeFile(path, zipSync(files, { level: 6 }));
      return path;
    }),
  );
}

async function bundle(method: string, name: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: {
      contents: `import { handler } from '#functions/${name}.ts';
import { qinlingMain } from '#lib/host/qinling.ts';
export const main = qinlingMain('${method}', handler);`,
      resolveDir: fileURLToPath(new URL('..', import.meta.url)),
    },
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
  const [file] = outputFiles;
  if (!file) {
    throw new Error(`no bundle of ${name}`);
  }
  return file.contents;
}
