/** Makes dist/cpi, which runs dist/cpi.cjs with the Node.js that the project is pinned to, and dist/serve.cjs, a server. */
import { chmod, writeFile } from 'node:fs/promises';
import { basename, relative } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import './build-validators.ts';
import { leanAxios } from './lean-axios.ts';

const options: BuildOptions = {
  bundle: true,
  minify: true,
  keepNames: true,
  format: 'cjs',
  platform: 'node',
  // Of ECMAScript modules, what nothing uses is left out, which halves the time that loading the AWS SDK takes.
  mainFields: ['module', 'main'],
  target: 'node22',
  supported: { 'dynamic-import': false },
  alias: { 'form-data': './scripts/no-forms.ts' },
  legalComments: 'none',
  logLevel: 'warning',
};
// What not every call needs is a file of its own, and loaded on demand: `info`, which the Director asks for before every call,
// needs nothing of them, and the AWS SDK is needed by a deployed function's caller only, and for stemcells in a bucket.
const onDemand: Record<string, string> = {
  '#functions/index.ts': 'functions/index.ts',
  '#lib/operator/operate.ts': 'lib/operator/operate.ts',
  './call.ts': 'lib/invoke/call.ts',
  './lambda.ts': 'lib/invoke/lambda.ts',
  './http.ts': 'lib/invoke/http.ts',
  './qinling.ts': 'lib/invoke/qinling.ts',
  './staged-stemcell.ts': 'lib/invoke/staged-stemcell.ts',
  './signed-headers.ts': 'lib/invoke/signed-headers.ts',
  './parameter.ts': 'lib/middleware/parameter.ts',
  './s3-client.ts': 'lib/s3/s3-client.ts',
};
const apart: Plugin = {
  name: 'apart',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\.ts$/ }, ({ path, kind }) => {
      const entry = onDemand[path];
      // The server needs the functions at once.
      const isApart = entry !== undefined && (kind === 'dynamic-import' || path.startsWith('#functions/'));
      return isApart ? { path: `./${fileOf(entry)}`, external: true } : undefined;
    }),
};
function fileOf(entry: string): string {
  return entry === 'functions/index.ts' ? 'functions.cjs' : basename(entry).replace(/\.ts$/, '.cjs');
}
const entries = ['bin/cpi.ts', 'bin/serve.ts', ...Object.values(onDemand)];
await Promise.all(
  entries.map((entry) =>
    build({
      ...options,
      entryPoints: [entry],
      outfile: `dist/${fileOf(entry)}`,
      plugins: [apart, leanAxios],
    }),
  ),
);

// BOSH's PATH may lead to another Node.js, or to none.
const node = relative('dist', process.execPath);
const flags = [
  // A small young generation keeps an image upload below 100 MB.
  '--max-semi-space-size=1',
  // A process may hang when it exits while V8 compiles on another thread. https://github.com/nodejs/node/issues/54918
  '--no-concurrent-recompilation',
].join(' ');
await writeFile('dist/cpi', `#!/bin/sh\nexec "\${0%/*}/${node}" ${flags} "\${0%/*}/cpi.cjs" "$@"\n`);
await chmod('dist/cpi', 0o755);
