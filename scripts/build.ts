/** Makes dist/cpi, from dist/cpi.cjs, and dist/serve.cjs, a server. */
import { chmod, rm, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import './build-validators.ts';
import { makeBundle } from './bundle.ts';
import { makeExecutable, NODE_FLAGS, nodeOf, ownArchitecture } from './single-executable.ts';

await Promise.all([makeBundle('cpi', 'dist/cpi.cjs'), makeBundle('serve', 'dist/serve.cjs')]);

if (process.platform === 'linux') {
  const architecture = ownArchitecture();
  await makeExecutable({
    bundle: 'dist/cpi.cjs',
    node: nodeOf(architecture),
    architecture,
    output: 'dist/cpi',
  });
} else {
  const node = relative('dist', process.execPath);
  await rm('dist/cpi', { force: true });
  await writeFile(
    'dist/cpi',
    `#!/bin/sh\nexec "\${0%/*}/${node}" ${NODE_FLAGS.join(' ')} "\${0%/*}/cpi.cjs" "$@"\n`,
  );
  await chmod('dist/cpi', 0o755);
}
