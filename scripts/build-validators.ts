/**
 * Compiles the schemas into modules of validators, so that nothing has to at its start: build/validators.js has those of the
 * functions, build/invoker-validators.js the one of the binary, which is to stay small. Beside each validator stands its
 * schema as plain JSON, for messages.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import { build } from 'esbuild';
import { configurationSchema, invokerSchema } from '../lib/config/schema.ts';
import { argumentSchemas, operatorArgumentSchemas } from '../lib/cpi/arguments/schemas.ts';

const events = Object.entries({ ...argumentSchemas, ...operatorArgumentSchemas }).map(([method, schema]) => [
  method,
  { type: 'object', properties: { arguments: schema }, required: ['arguments'] },
]);
await mkdir('build', { recursive: true });
await compile('validators', { ...Object.fromEntries(events), configuration: configurationSchema });
await compile('invoker-validators', { invoker: invokerSchema });

async function compile(file: string, schemas: Record<string, object>): Promise<void> {
  const ajv = new Ajv({
    code: { source: true, esm: true },
    allErrors: true,
    strict: true,
    strictTypes: false,
  });
  ajv.addVocabulary(['errorMessage']);
  for (const [name, schema] of Object.entries(schemas)) {
    ajv.addSchema({ ...schema }, name);
  }
  const names = Object.keys(schemas);
  const code = standalone.default(ajv, Object.fromEntries(names.map((name) => [name, name])));

  await writeFile(`build/compiled-${file}.js`, code);
  await build({
    stdin: {
      contents: `import * as compiled from './compiled-${file}.js';
export const validators = { ...compiled };
export const schemas = ${JSON.stringify(schemas)};`,
      resolveDir: 'build',
    },
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile: `build/${file}.js`,
    logLevel: 'warning',
  });
  await writeFile(
    `build/${file}.d.ts`,
    `import type { JsonSchema, Validator } from '../lib/validation/violations.ts';
type Name = ${names.map((name) => `'${name}'`).join(' | ')};
export declare const validators: Record<Name, Validator>;
export declare const schemas: Record<Name, JsonSchema>;
`,
  );
}
