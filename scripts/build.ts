/** Makes dist/cpi, which runs dist/cpi.cjs with the Node.js that the project is pinned to, and dist/serve.cjs, a server. */
import { chmod, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import './build-validators.ts';

const options: BuildOptions = {
  bundle: true,
  minify: true,
  keepNames: true,
  format: 'cjs',
  platform: 'node',
  target: 'node22',
  supported: { 'dynamic-import': false },
  alias: { 'form-data': './scripts/no-forms.ts' },
  legalComments: 'none',
  logLevel: 'warning',
};
// `info`, which the Director asks for before every call, needs nothing of the functions: they are a file of their own.
const functionsApart: Plugin = {
  name: 'functions-apart',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^#functions\/index\.ts$/ }, () => ({ path: './functions.cjs', external: true })),
};
await build({ ...options, entryPoints: ['bin/cpi.ts'], outfile: 'dist/cpi.cjs', plugins: [functionsApart] });
await build({
  ...options,
  entryPoints: ['bin/serve.ts'],
  outfile: 'dist/serve.cjs',
  plugins: [functionsApart],
});
await build({ ...options, entryPoints: ['functions/index.ts'], outfile: 'dist/functions.cjs' });

// BOSH's PATH may lead to another Node.js, or to none. A small young generation keeps an image upload below 100 MB.
const node = relative('dist', process.execPath);
await writeFile(
  'dist/cpi',
  `#!/bin/sh\nexec "\${0%/*}/${node}" --max-semi-space-size=1 "\${0%/*}/cpi.cjs" "$@"\n`,
);
await chmod('dist/cpi', 0o755);
