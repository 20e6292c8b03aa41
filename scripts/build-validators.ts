/**
 * Compiles the schemas of arguments and configuration into build/validators.js, so that no function has to at its start.
 * Beside each validator stands its schema as plain JSON, for messages.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import { build } from 'esbuild';
import { configurationSchema } from '../lib/config/schema.ts';
import { argumentSchemas } from '../lib/cpi/arguments/schemas.ts';

const ajv = new Ajv({ code: { source: true, esm: true }, allErrors: true, strict: true, strictTypes: false });
ajv.addVocabulary(['errorMessage']);

const events = Object.entries(argumentSchemas).map(([method, schema]) => [
  method,
  { type: 'object', properties: { arguments: schema }, required: ['arguments'] },
]);
const schemas: Record<string, object> = { ...Object.fromEntries(events), configuration: configurationSchema };
for (const [name, schema] of Object.entries(schemas)) {
  ajv.addSchema({ ...schema }, name);
}
const names = Object.keys(schemas);
const code = standalone.default(ajv, Object.fromEntries(names.map((name) => [name, name])));

await mkdir('build', { recursive: true });
await writeFile('build/compiled.js', code);
await build({
  stdin: {
    contents: `import * as compiled from './compiled.js';
export const validators = { ...compiled };
export const schemas = ${JSON.stringify(schemas)};`,
    resolveDir: 'build',
  },
  bundle: true,
  format: 'esm',
  platform: 'node',
  outfile: 'build/validators.js',
  logLevel: 'warning',
});
await writeFile(
  'build/validators.d.ts',
  `import type { JsonSchema, Validator } from '../lib/validation/violations.ts';
type Name = ${names.map((name) => `'${name}'`).join(' | ')};
export declare const validators: Record<Name, Validator>;
export declare const schemas: Record<Name, JsonSchema>;
`,
);
