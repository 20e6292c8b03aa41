import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { isRecord } from '#lib/json.ts';

const RENDERER = fileURLToPath(new URL('erb/render.rb', import.meta.url));

export interface JobSpec {
  name: string;
  /** Below `templates/`, and where it goes in the job's folder. */
  templates: Record<string, string>;
  packages: string[];
  properties: Record<string, PropertyDefinition>;
}

interface PropertyDefinition {
  description: string;
  default?: unknown;
}

/** Of a job's folder, or of its archive, which has it by another name. */
export async function readJobSpec(jobFolder: string): Promise<JobSpec> {
  const path = specPath(jobFolder);
  const spec: unknown = parse(await readFile(path, 'utf8'));
  if (!isJobSpec(spec)) {
    throw new Error(`${path} must have a name, templates, packages and properties with descriptions`);
  }
  return spec;
}

/**
 * The files of a job by their paths in its folder, as BOSH renders them.
 * @throws with the message of the template that raises
 */
export async function renderJob({
  jobFolder,
  properties,
}: {
  jobFolder: string;
  properties: Record<string, unknown>;
}): Promise<Record<string, string>> {
  const { templates } = await readJobSpec(jobFolder);
  const files = await Promise.all(
    Object.entries(templates).map(async ([template, path]) => [
      path,
      await rendered(specPath(jobFolder), join(jobFolder, 'templates', template), properties),
    ]),
  );
  return Object.fromEntries(files);
}

function specPath(jobFolder: string): string {
  const inArchive = join(jobFolder, 'job.MF');
  return existsSync(inArchive) ? inArchive : join(jobFolder, 'spec');
}

async function rendered(
  spec: string,
  template: string,
  properties: Record<string, unknown>,
): Promise<string> {
  const child = spawn('ruby', [RENDERER, spec, template]);
  const exit = new Promise<number | null>((resolve, reject) => {
    child.on('close', resolve).on('error', (cause) => {
      reject(new Error('Ruby is needed to render templates: apt-get install ruby', { cause }));
    });
  });
  // A renderer that has ended does not read it all, and its exit status says why.
  child.stdin.on('error', () => {}).end(JSON.stringify(properties));
  const [output, message, status] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  if (status !== 0) {
    throw new Error(message.trim());
  }
  return output;
}

function isJobSpec(value: unknown): value is JobSpec {
  return (
    isRecord(value) &&
    typeof value.name === 'string' &&
    isRecord(value.templates) &&
    Object.values(value.templates).every((path) => typeof path === 'string') &&
    Array.isArray(value.packages) &&
    isRecord(value.properties) &&
    Object.values(value.properties).every(
      (property) => isRecord(property) && typeof property.description === 'string',
    )
  );
}
