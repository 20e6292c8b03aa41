import { relative, resolve } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { leanAxios } from './lean-axios.ts';

/** What needs the AWS SDK, and is imported on demand. */
const WITH_AWS_SDK = [
  'lib/invoke/lambda.ts',
  'lib/invoke/signed-headers.ts',
  'lib/middleware/parameter.ts',
  'lib/s3/s3-client.ts',
];

const options = {
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
  legalComments: 'none',
  logLevel: 'warning',
} satisfies BuildOptions;

/**
 * Puts the AWS SDK, more than half of the whole, and what needs it into one function of the bundle. V8 leaves a function alone
 * until it is called; the modules around it are among each other, where V8 sees to all of their functions at the start.
 */
const awsSdkApart: Plugin = {
  name: 'aws-sdk-apart',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.{1,2}\/.*\.ts$/ }, ({ path, kind, resolveDir }) => {
      const file = relative('.', resolve(resolveDir, path));
      const isApart = kind === 'dynamic-import' && WITH_AWS_SDK.includes(file);
      return isApart ? { path: file, namespace: 'with-aws-sdk' } : undefined;
    });
    onResolve({ filter: /^all$/, namespace: 'with-aws-sdk' }, ({ path }) => ({ path, namespace: 'aws-sdk' }));
    onLoad({ filter: /.*/, namespace: 'with-aws-sdk' }, ({ path }) => ({
      contents: `module.exports = require('all')[${JSON.stringify(path)}]();`,
    }));
    onLoad({ filter: /.*/, namespace: 'aws-sdk' }, async () => {
      const modules = WITH_AWS_SDK.map((file) => `${JSON.stringify(file)}: () => require('./${file}'),`);
      const contents = `module.exports = { ${modules.join('\n')} };`;
      const { outputFiles } = await build({
        ...options,
        stdin: { contents, resolveDir: '.' },
        plugins: [leanAxios],
        write: false,
      });
      return { contents: outputFiles.map(({ text }) => text).join('') };
    });
  },
};

/** bin/<program>.ts and all that it imports, as one CommonJS file. */
export async function makeBundle(program: 'cpi' | 'serve', output: string): Promise<void> {
  await build({
    ...options,
    entryPoints: [`bin/${program}.ts`],
    outfile: output,
    plugins: [awsSdkApart, leanAxios],
  });
}
