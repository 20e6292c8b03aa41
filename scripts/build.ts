/** Makes dist/cpi, which runs dist/cpi.cjs with the Node.js that the project is pinned to. */
import { chmod, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { build } from 'esbuild';
import './build-validators.ts';

await build({
  entryPoints: ['bin/cpi.ts'],
  outfile: 'dist/cpi.cjs',
  bundle: true,
  minify: true,
  keepNames: true,
  format: 'cjs',
  platform: 'node',
  target: 'node22',
  legalComments: 'none',
  logLevel: 'warning',
});

// BOSH's PATH may lead to another Node.js, or to none.
const node = relative('dist', process.execPath);
await writeFile('dist/cpi', `#!/bin/sh\nexec "\${0%/*}/${node}" "\${0%/*}/cpi.cjs" "$@"\n`);
await chmod('dist/cpi', 0o755);
