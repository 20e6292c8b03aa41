/** Makes dist/cpi, from dist/cpi.cjs, and dist/serve.cjs, a server. */
import { chmod, rm, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { build } from 'esbuild';
import './build-validators.ts';
import { leanAxios } from './lean-axios.ts';
import { makeExecutable, NODE_FLAGS, nodeOf, ownArchitecture } from './single-executable.ts';

await Promise.all(
  ['cpi', 'serve'].map((program) =>
    build({
      entryPoints: [`bin/${program}.ts`],
      outfile: `dist/${program}.cjs`,
      bundle: true,
      minify: true,
      keepNames: true,
      format: 'cjs',
      platform: 'node',
      // Of ECMAScript modules, what nothing uses is left out, which halves the time that loading the AWS SDK takes.
      mainFields: ['module', 'main'],
      target: 'node22',
      // What is imported on demand runs on demand, and comes with the rest.
      supported: { 'dynamic-import': false },
      alias: { 'form-data': './scripts/no-forms.ts' },
      plugins: [leanAxios],
      legalComments: 'none',
      logLevel: 'warning',
    }),
  ),
);

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
