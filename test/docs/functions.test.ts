import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { functions } from '#functions/index.ts';
import { answerSchema, eventSchema } from '#lib/cpi/function-schemas.ts';
import type { CpiMethod } from '#lib/cpi/methods.ts';
import { parseRequest } from '#lib/cpi/request.ts';
import { isRecord } from '#lib/json.ts';
import { embeddedCloud } from '../functions/embedded-cloud.ts';
import { directorRequest } from '../support/cpi.ts';

const ajv = new Ajv({ strict: true, strictTypes: false, strictTuples: false, strictRequired: false });
const isEvent = ajv.compile(eventSchema);
const isAnswer = ajv.compile(answerSchema);
/** Of a Director: what stores send is another matter. */
const files = (await readdir('events')).filter((name) => name !== 'stemcell-uploaded.json');

/** Paths below which nothing else is described. */
function pathsOf(schema: unknown): string[] {
  const alternatives = isRecord(schema) && Array.isArray(schema.anyOf) ? schema.anyOf : [schema];
  const [described] = alternatives;
  const properties = isRecord(described) && isRecord(described.properties) ? described.properties : {};
  return Object.entries(properties).flatMap(([name, inner]) => {
    const paths = name === 'vm' ? [] : pathsOf(inner);
    return paths.length > 0 ? paths.map((path) => `${name}.${path}`) : [name];
  });
}

describe('docs/functions.md', () => {
  it('has each field of the event, and no other', async () => {
    const text = await readFile('docs/functions.md', 'utf8');
    const [section = ''] = text.split('\n## Answer\n');

    const documented = [...section.matchAll(/^\| `([\w.]+)` /gm)].map(([, name]) => name);

    expect(documented.sort()).toEqual(pathsOf(eventSchema).sort());
  });

  it('has an event as the schema describes it', async () => {
    const text = await readFile('docs/functions.md', 'utf8');
    const [, json = ''] = /```json\n(.*?)```/s.exec(text) ?? [];

    const isValid = isEvent(JSON.parse(json));

    expect(isEvent.errors).toBeNull();
    expect(isValid).toBe(true);
  });

  it.each([
    ['event.schema.json', eventSchema],
    ['answer.schema.json', answerSchema],
  ])('comes with %s as the code has it (npm run build:schemas)', async (name, schema) => {
    const text = await readFile(`docs/${name}`, 'utf8');

    expect(JSON.parse(text)).toEqual(schema);
  });
});

describe('the schema of events', () => {
  it.each(files)('describes events/%s', async (file) => {
    const event = JSON.parse(await readFile(`events/${file}`, 'utf8'));

    const isValid = isEvent(event);

    expect(isEvent.errors).toBeNull();
    expect(isValid).toBe(true);
  });

  it.each([
    ['too few arguments', { method: 'has_vm', arguments: [] }],
    ['an argument of another type', { method: 'create_disk', arguments: ['2048', {}] }],
    ['an unknown method', { method: 'ping', arguments: [] }],
  ])('refuses %s', (_, event) => {
    expect(isEvent(event)).toBe(false);
  });

  it('takes arguments that are left out, and more than there are', () => {
    expect(isEvent({ method: 'create_disk', arguments: [2048, {}] })).toBe(true);
    expect(isEvent({ method: 'has_vm', arguments: ['vm', 'more'] })).toBe(true);
  });

  const id = randomUUID();
  const request = { method: 'has_vm', arguments: ['vm'] };
  it.each([
    request,
    { arguments: ['vm'] },
    { method: 'has_vm' },
    { ...request, arguments: {} },
    { ...request, method: 5 },
    { ...request, more: true },
    ...[null, {}, [], 'x', { request_id: 5 }, { auth_url: 'https://k' }].map((context) => ({
      ...request,
      context,
    })),
    ...[
      null,
      {},
      { stemcell: null },
      { stemcell: { api_version: null } },
      { stemcell: { api_version: 'x' } },
    ].map((vm) => ({ ...request, context: { vm } })),
    ...[null, 0, 1, 2, 3, 4, 1.5, '2'].map((api_version) => ({ ...request, api_version })),
    ...[
      null,
      {},
      'x',
      { id },
      { id: id.toUpperCase() },
      { id: 'x' },
      { id, attempt: 2 },
      { id, attempt: 0 },
      { id, attempt: 1.5 },
      { id, lap_ms: 0 },
      { id, lap_ms: 1.5 },
      { id, lap_ms: -1 },
      { id, lap_ms: '5' },
      { id, lap_ms: null },
      { id, elapsed_ms: 5 },
      { id, elapsed_ms: -1 },
      { id, elapsed_ms: null },
      { id, resume: null },
      { id, resume: { any: 'thing' } },
      { id, cancel: true },
      { id, cancel: 'yes' },
    ].map((invocation) => ({ ...request, invocation })),
  ])('takes what functions take: %j', (event) => {
    const isTaken = () => {
      try {
        parseRequest(event, 'has_vm');
        return true;
      } catch {
        return false;
      }
    };

    expect(isEvent(event)).toBe(isTaken());
  });
});

describe('the schema of answers', () => {
  const stage = embeddedCloud();

  async function answerOf(method: CpiMethod, args: unknown[], invocation?: object): Promise<unknown> {
    const { handler } = await functions[method]();
    const { properties } = stage();
    const event = {
      ...directorRequest(method, args),
      config: { cloud: { properties } },
      ...(invocation && { invocation: { id: randomUUID(), attempt: 1, ...invocation } }),
    };
    return handler(event, { functionName: method });
  }

  it.each([
    ['a result without requests', 'info', []],
    ['a result', 'has_vm', ['no-such-vm']],
    ['no result', 'delete_vm', ['no-such-vm']],
    ['a refusal', 'has_vm', []],
    ['an error of the cloud', 'reboot_vm', ['no-such-vm']],
    ['a method that is not supported', 'configure_networks', ['vm', {}]],
  ] as const)('describes %s', async (_, method, args) => {
    const answer = await answerOf(method, [...args]);

    expect(isAnswer(answer)).toBe(true);
    expect(isAnswer({ ...Object(answer), more: true })).toBe(false);
  });

  it('describes that another attempt is to go on', async () => {
    stage().injector.inject({ match: { service: 'compute' }, fault: { delayMs: 300 } });

    const answer = await answerOf('has_vm', ['no-such-vm'], { lap_ms: 100 });

    expect(answer).toHaveProperty('pending.reason');
    expect(isAnswer(answer)).toBe(true);
  });
});
