import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { ClientRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { functions } from '#functions/index.ts';
import { answer } from '#lib/invoke/answer.ts';
import { embeddedStage, type Stage } from '../../acceptance/stage.ts';
import {
  anyValue,
  expectValid,
  goodRequests,
  mutatedRequest,
  NETWORK,
  SERVER,
  SNAPSHOT,
  VOLUME,
} from '../support/any-request.ts';

describe('answer', () => {
  let stage: Stage;
  let folder: string;
  let configPath: string;
  const hosts = new Set<string>();
  const onRequest = (message: unknown) => {
    const { request } = message as { request: unknown };
    if (request instanceof ClientRequest) {
      hosts.add(String(request.getHeader('host')));
    }
  };

  beforeAll(async () => {
    stage = await embeddedStage();
    folder = await mkdtemp(join(tmpdir(), 'cpi-answer-'));
    configPath = join(folder, 'cpi.json');
    const properties = { ...stage.properties, registry: stage.registry.settings };
    await writeFile(configPath, JSON.stringify({ cloud: { properties } }));
    subscribe('http.client.request.start', onRequest);
  });

  afterAll(async () => {
    unsubscribe('http.client.request.start', onRequest);
    await stage.close();
    await rm(folder, { recursive: true });
  });

  function newest(resources: ReadonlyMap<string, unknown> | undefined): string {
    return [...(resources?.keys() ?? [])].at(-1) ?? 'missing';
  }

  /** With ids of the cloud's own in place of the words that stand for them. */
  function withIds(input: string): string {
    const { servers, volumes, snapshots, networks } = stage.embedded ?? {};
    return input
      .replaceAll(SERVER, newest(servers))
      .replaceAll(VOLUME, newest(volumes))
      .replaceAll(SNAPSHOT, newest(snapshots))
      .replaceAll(NETWORK, newest(networks));
  }

  async function expectAnswer(input: string): Promise<void> {
    const lines: string[] = [];
    const response = await answer(withIds(input), {
      configPath,
      loadFunctions: async () => functions,
      logSink: (line) => lines.push(line),
    });

    expectValid(response);
    expect(lines.filter((line) => /[\r\n]/.test(line))).toEqual([]);
    const outputs = `${JSON.stringify(response)}\n${lines.join('\n')}`;
    expect([...stage.secrets()].filter((secret) => outputs.includes(secret))).toEqual([]);
  }

  it('gives the result for requests that nothing is wrong with', async () => {
    const failing: string[] = [];
    for (const request of goodRequests(stage)) {
      const response = await answer(withIds(JSON.stringify(request)), {
        configPath,
        loadFunctions: async () => functions,
        logSink: () => {},
      });
      if (response.error) {
        failing.push(`${JSON.stringify(request).split(',')[0]} ${response.error.message}`);
      }
    }

    expect(failing).toEqual([
      '{"method":"create_stemcell" Extracting stemcell root image failed. Check task debug log for details. ' +
        "(ENOENT: no such file or directory, open '/no/such/image')",
      expect.stringContaining('{"method":"configure_networks" network configuration change requires'),
    ]);
  });

  it('gives a response for any text', async () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 500 }), fc.lorem());

    await fc.assert(fc.asyncProperty(text, expectAnswer), { numRuns: 500 });
  });

  it('gives a response for any JSON', async () => {
    await fc.assert(fc.asyncProperty(fc.json({ noUnicodeString: false }), expectAnswer), { numRuns: 500 });
  });

  it('gives a response for any arguments of any method', async () => {
    const request = fc.record({
      method: fc.constantFrom(...Object.keys(functions)),
      arguments: fc.array(anyValue(stage), { maxLength: 7 }),
      context: fc.option(fc.constant({ vm: { stemcell: { api_version: 2 } } }), { nil: undefined }),
      api_version: fc.constantFrom(1, 2, 3, undefined),
    });

    await fc.assert(
      fc.asyncProperty(request, (value) => expectAnswer(JSON.stringify(value))),
      { numRuns: 1000 },
    );
  });

  it('gives a response for requests that something is wrong with', async () => {
    await fc.assert(
      fc.asyncProperty(mutatedRequest(stage), (value) => expectAnswer(JSON.stringify(value))),
      { numRuns: 1000 },
    );
  });

  it('spoke to nobody but the cloud', () => {
    const injector = new URL(stage.injector.authUrl).host;
    // The fault injector passes on what it gets within this same process.
    const cloud = new URL(stage.cloud.auth_url).host;
    expect([...hosts].sort()).toEqual([injector, cloud].sort());
  });
});
