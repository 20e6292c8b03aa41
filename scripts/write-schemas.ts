/** Writes the JSON schemas of docs/ from those in the code. */
import { writeFile } from 'node:fs/promises';
import { answerSchema, eventSchema } from '../lib/cpi/function-schemas.ts';

await writeFile('docs/event.schema.json', `${JSON.stringify(eventSchema, null, 2)}\n`);
await writeFile('docs/answer.schema.json', `${JSON.stringify(answerSchema, null, 2)}\n`);
