import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedStage, type Stage } from '../../acceptance/stage.ts';
import { imageData, type StemcellArchive, stemcellArchive } from '../../acceptance/stemcell-archive.ts';
import { type Calls, startCalls } from '../support/scripted-functions.ts';

describe('a call in the own process that is asked to stop', () => {
  let stage: Stage;
  let calls: Calls;
  let archive: StemcellArchive;

  beforeAll(async () => {
    stage = await embeddedStage();
    calls = await startCalls();
    archive = await stemcellArchive({ 'root.img': imageData() });
  });

  afterAll(async () => {
    await archive.remove();
    await calls.close();
    await stage.close();
  });

  /** Asked when the given request arrives at the cloud; undefined: never. */
  async function stoppedAt(request: number | undefined, method: string, args: unknown[]) {
    const stop = new AbortController();
    let arrived = 0;
    const when = () => {
      arrived += 1;
      if (arrived === request) {
        stop.abort();
      }
      return false;
    };
    stage.injector.reset();
    stage.injector.inject({ match: { when }, fault: { delayMs: 0 } });
    const { response } = await calls.call(method, args, stage.properties, { stopSignal: stop.signal });
    return { response, requests: stage.injector.requests.length };
  }

  function vm(): unknown[] {
    const { cloud } = stage;
    return [
      'agent-007',
      cloud.image.id,
      { instance_type: 'm1.small', loadbalancer_pools: [{ name: 'pool-a', port: 80 }] },
      {
        a: { type: 'dynamic', cloud_properties: { net_id: cloud.networks['net-a'].id } },
        v: { type: 'vip', ip: cloud.floating_ip.address },
      },
      [],
      {},
    ];
  }

  const network = {
    type: 'manual',
    range: '10.77.0.0/24',
    gateway: '10.77.0.1',
    cloud_properties: {},
  };

  it('leaves a disk attached or available, at whichever request it is asked', async () => {
    const { embedded } = stage;
    const setUp = async () => {
      embedded?.restore();
      const { response: created } = await stoppedAt(undefined, 'create_vm', vm());
      const { response: disk } = await stoppedAt(undefined, 'create_disk', [1024, {}, null]);
      return [[created.result].flat()[0], disk.result];
    };
    const undisturbed = await stoppedAt(undefined, 'attach_disk', await setUp());
    expect(undisturbed.response.error).toBeNull();

    for (let request = 1; request <= undisturbed.requests; request++) {
      const [vmCid, diskCid] = await setUp();
      const { response } = await stoppedAt(request, 'attach_disk', [vmCid, diskCid]);

      expect([request, response.error?.message]).toEqual([request, 'attach_disk was cancelled']);
      expect([request, embedded?.volumes.get(String(diskCid))]).toMatchObject([
        request,
        { status: 'available', attachments: [] },
      ]);
    }
    embedded?.restore();
  });

  it.each<[string, () => unknown[]]>([
    ['create_vm', vm],
    ['create_disk', () => [1024, {}, null]],
    ['create_stemcell', () => [archive.path, { name: 'bosh', version: '1', disk_format: 'raw' }]],
    ['create_network', () => [network]],
  ])('leaves nothing of %s behind, at whichever request it is asked', async (method, args) => {
    const undisturbed = await stoppedAt(undefined, method, args());
    expect(undisturbed.response.error).toBeNull();
    expect(undisturbed.requests).toBeGreaterThan(2);

    for (let request = 1; request <= undisturbed.requests; request++) {
      stage.embedded?.restore();
      const { response } = await stoppedAt(request, method, args());

      expect([request, response.error?.message]).toEqual([
        request,
        expect.stringMatching(new RegExp(`^${method} was cancelled`)),
      ]);
      expect([request, stage.embedded?.leftovers()]).toEqual([request, []]);
    }
  });

  it('leaves no snapshot behind, at whichever request it is asked', async () => {
    const { result: diskCid } = await stage.cpi.call('create_disk', [1024, {}, null]);
    const undisturbed = await stoppedAt(undefined, 'snapshot_disk', [diskCid, {}]);
    const kept = stage.embedded?.leftovers();
    expect(undisturbed.response.error).toBeNull();

    for (let request = 1; request <= undisturbed.requests; request++) {
      const { response } = await stoppedAt(request, 'snapshot_disk', [diskCid, {}]);

      expect(response.error?.message).toMatch(/^snapshot_disk was cancelled/);
      expect([request, stage.embedded?.leftovers()]).toEqual([request, kept]);
    }
  });

  it('of a method that creates nothing ends early and says so', async () => {
    const { result: diskCid } = await stage.cpi.call('create_disk', [1024, {}, null]);

    const { response } = await stoppedAt(1, 'delete_disk', [diskCid]);

    expect(response.error?.message).toBe(
      `delete_disk was stopped before it was done; disk '${diskCid}' may be deleted`,
    );
    const changes = stage.injector.requests.filter(({ method }) => method === 'DELETE');
    expect(changes).toEqual([]);
  });
});
