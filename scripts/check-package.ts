/** Checks what `serverless package` made: a Lambda function for each CPI method, small, and with a bundle that answers. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { functions } from '../functions/index.ts';

const FOLDER = '.serverless';
const MAX_ZIP_BYTES = 150_000;

interface Template {
  Resources: Record<string, { Type: string; Properties: { FunctionName?: string; Handler?: string } }>;
}

const template: Template = JSON.parse(
  await readFile(join(FOLDER, 'cloudformation-template-update-stack.json'), 'utf8'),
);
const deployed = Object.values(template.Resources)
  .filter(({ Type }) => Type === 'AWS::Lambda::Function')
  .map(({ Properties }) => Properties.Handler);
const expected = Object.keys(functions).map((method) => method.replaceAll('_', '-'));
const problems: string[] = [];
const sizes = new Map<string, number>();
const folder = await mkdtemp(join(tmpdir(), 'cpi-package-'));

try {
  for (const name of expected) {
    if (!deployed.includes(`functions/${name}.handler`)) {
      problems.push(`${name} is not in the CloudFormation template`);
    }
    const zip = await readFile(join(FOLDER, `${name}.zip`));
    sizes.set(name, zip.length);
    if (zip.length >= MAX_ZIP_BYTES) {
      problems.push(`${name}.zip has ${zip.length} bytes, ${MAX_ZIP_BYTES} are too many`);
    }
    const answer = await answerOf(name, zip);
    if (typeof answer !== 'object' || answer === null || !('result' in answer)) {
      problems.push(`${name} gave no CPI response: ${JSON.stringify(answer)}`);
    }
  }
} finally {
  await rm(folder, { recursive: true });
}
if (deployed.length !== expected.length) {
  problems.push(
    `${deployed.length} functions are in the CloudFormation template, ${expected.length} were expected`,
  );
}
if (problems.length > 0) {
  throw new Error(problems.join('\n'));
}
const [largest, bytes] = [...sizes].sort(([, a], [, b]) => b - a)[0] ?? [];
console.log(
  `${expected.length} functions in ${FOLDER}, each answers; the largest is ${largest} with ${bytes} bytes`,
);

/** What the packaged function says to a request without arguments and configuration. */
async function answerOf(name: string, zip: Buffer): Promise<unknown> {
  const path = join(folder, `${name}.cjs`);
  await writeFile(path, fileFrom(zip, `functions/${name}.cjs`));
  const { handler } = createRequire(import.meta.url)(path);
  return handler({ arguments: [] }, {});
}

/** One file of a zip archive. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.12 and 4.3.7 */
function fileFrom(zip: Buffer, name: string): Buffer {
  const end = zip.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  let entry = zip.readUInt32LE(end + 16);
  for (let count = zip.readUInt16LE(end + 10); count > 0; count--) {
    const [nameBytes = 0, extraBytes = 0, commentBytes = 0] = [28, 30, 32].map((at) =>
      zip.readUInt16LE(entry + at),
    );
    if (zip.toString('utf8', entry + 46, entry + 46 + nameBytes) === name) {
      const local = zip.readUInt32LE(entry + 42);
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
      const content = zip.subarray(start, start + zip.readUInt32LE(entry + 20));
      return zip.readUInt16LE(entry + 10) === 0 ? content : inflateRawSync(content);
    }
    entry += 46 + nameBytes + extraBytes + commentBytes;
  }
  throw new Error(`${name} is not in the archive`);
}
