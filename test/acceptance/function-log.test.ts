import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CallOptions, Outcome } from '../support/cpi.ts';
import { bodyOf, networks, resultOf, sent, UNKNOWN_ID, vmArguments } from './scenario.ts';
import { embeddedStage, type Stage } from './stage.ts';
import { imageData, type StemcellArchive, stemcellArchive, stemcellProperties } from './stemcell-archive.ts';

/** 16 KiB of its beginning, 48 KiB of its end, and a line between. */
const LOG_LIMIT = 64 * 1024 + 200;

describe("a function's own log", () => {
  let stage: Stage;
  let archive: StemcellArchive;
  let outcomes: [string, Outcome][];

  beforeAll(async () => {
    stage = await embeddedStage('function');
    archive = await stemcellArchive({ 'root.img': imageData() });
  });

  beforeEach(() => {
    outcomes = [];
  });

  afterEach(() => {
    stage.injector.reset();
  });

  afterAll(async () => {
    await archive.remove();
    await stage.close();
  });

  async function call(method: string, args: unknown[], options: CallOptions = {}): Promise<Outcome> {
    const outcome = await stage.cpi.call(method, args, options);
    outcomes.push([method, outcome]);
    return outcome;
  }

  /** All that a VM and its disk go through. */
  async function liveAndDie(options: CallOptions): Promise<void> {
    const { cloud } = stage;
    const stemcell = resultOf(await call('create_stemcell', [archive.path, stemcellProperties], options));
    const vm = vmArguments(stage, {
      stemcell,
      networks: { default: networks.manual(stage, '10.10.0.50'), public: networks.vip(stage) },
      properties: { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] },
    });
    const created = resultOf(await call('create_vm', vm, options));
    const vmCid = Array.isArray(created) ? created[0] : created;
    const steps: [string, unknown[]][] = [
      ['has_vm', [vmCid]],
      ['set_vm_metadata', [vmCid, { deployment: 'd', job: 'j', index: '0' }]],
      ['reboot_vm', [vmCid]],
      ['calculate_vm_cloud_properties', [{ cpu: 1, ram: 512, ephemeral_disk_size: 0 }]],
    ];
    for (const [method, args] of steps) {
      resultOf(await call(method, args, options));
    }
    const diskCid = resultOf(await call('create_disk', [2048, {}, vmCid], options));
    resultOf(await call('attach_disk', [vmCid, diskCid], options));
    resultOf(await call('get_disks', [vmCid], options));
    resultOf(await call('detach_disk', [vmCid, diskCid], options));
    resultOf(await call('resize_disk', [diskCid, 4096], options));
    resultOf(await call('set_disk_metadata', [diskCid, { deployment: 'd' }], options));
    const snapshotCid = resultOf(await call('snapshot_disk', [diskCid, { deployment: 'd' }], options));
    resultOf(await call('delete_snapshot', [snapshotCid], options));
    resultOf(await call('delete_disk', [diskCid], options));
    resultOf(await call('delete_vm', [vmCid], options));
    const definition = {
      type: 'manual',
      range: '10.9.0.0/24',
      gateway: '10.9.0.1',
      cloud_properties: { router_id: cloud.router_id },
    };
    const [networkCid] = resultOf(await call('create_network', [definition], options));
    resultOf(await call('delete_network', [networkCid], options));
    resultOf(await call('delete_stemcell', [stemcell], options));
  }

  it.each([
    ['', (): CallOptions => ({})],
    [
      ', with registry',
      (): CallOptions => ({
        apiVersion: 1,
        stemcellVersion: 1,
        properties: { registry: stage.registry.settings },
      }),
    ],
  ])('tells each request of each method, and no secret%s', async (_, options) => {
    await liveAndDie(options());

    const untold = outcomes.filter(
      ([method, { log }]) => !(log.includes(`method ${method} arguments:`) && log.includes('http.request')),
    );
    const [creation] = sent(stage, 'POST', /^\/servers$/);
    const userData = bodyOf(creation).server.user_data;
    expect(outcomes.map(([, { error }]) => error).filter((error) => error !== null)).toEqual([]);
    expect(untold.map(([method]) => method)).toEqual([]);
    expect(userData.length).toBeGreaterThan(100);
    for (const [method, { log }] of outcomes) {
      expect(log.includes(userData), method).toBe(false);
      expect(log.includes(userData.slice(0, 40)), method).toBe(false);
      expect(Buffer.byteLength(log), method).toBeLessThanOrEqual(LOG_LIMIT);
    }
    expect(stage.embedded?.leftovers()).toEqual([]);
  });

  it('tells a failure, without secrets that OpenStack repeats in its message', async () => {
    const { cloud } = stage;
    stage.injector.inject({
      match: { service: 'compute', method: 'POST', path: /^\/servers$/ },
      fault: {
        status: 400,
        body: { badRequest: { code: 400, message: `Refused for bosh/${cloud.password}` } },
      },
    });

    const { error, log } = await call(
      'create_vm',
      vmArguments(stage, { networks: { default: networks.dynamic(stage) } }),
    );

    expect(error).toMatchObject({ type: 'Bosh::Clouds::CloudError' });
    expect(error?.message).toContain('Refused for bosh/<redacted>');
    expect(log).toContain('method failed: Bosh::Clouds::CloudError');
    expect(log).toContain('http.request');
  });

  it('is cut in its middle when it grows long', async () => {
    const name = 'x'.repeat(2000);
    stage.injector.inject({
      match: { service: 'compute', method: 'GET', path: /^\/servers\/[^/]+$/ },
      fault: { status: 500, body: { computeFault: { code: 500, message: name } } },
    });

    const { log } = await call('has_vm', [UNKNOWN_ID], {
      properties: { retry_config: { default: { max_attempts: 60, sleep_duration: 0 } } },
    });

    expect(log).toMatch(/^\S+ INFO \[req_id cpi-123456\] method has_vm arguments/);
    expect(log).toMatch(/\n\.\.\. \d+ bytes of the log dropped \.\.\.\n/);
    expect(log).toContain('method failed');
    expect(Buffer.byteLength(log)).toBeGreaterThan(60 * 1024);
    expect(Buffer.byteLength(log)).toBeLessThanOrEqual(LOG_LIMIT);
  });

  it('is empty for info', async () => {
    const { result, log } = await call('info', [], { requestId: randomUUID() });

    expect(result).toHaveProperty('stemcell_formats');
    expect(log).toBe('');
  });
});
