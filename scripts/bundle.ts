import { build } from 'esbuild';
import { leanAxios } from './lean-axios.ts';

/** bin/<program>.ts and all that it imports, as one CommonJS file. */
export async function makeBundle(program: 'cpi' | 'serve', output: string): Promise<void> {
  await build({
    entryPoints: [`bin/${program}.ts`],
    outfile: output,
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
  });
}
