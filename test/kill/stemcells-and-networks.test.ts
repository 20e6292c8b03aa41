import { afterAll, expect } from 'vitest';
import { stemcellArchive, stemcellProperties } from '../acceptance/stemcell-archive.ts';
import { killMatrix } from './kill-matrix.ts';
import { startPlatform } from './kill-stage.ts';

const platform = await startPlatform();
const archive = await stemcellArchive({ 'root.img': Buffer.from('root image '.repeat(100)) });
afterAll(async () => {
  await platform.close();
  await archive.remove();
});

await killMatrix(platform, {
  title: 'create_stemcell, of an image that is sent to the bucket',
  hasBucket: true,
  call: () => ['create_stemcell', [archive.path, stemcellProperties]],
  leaves: { image: 1 },
  holds: ({ embedded, store }, imageId) => {
    expect(embedded.images.get(String(imageId))).toMatchObject({ status: 'active' });
    expect(store?.bucket.keys()).toEqual([]);
  },
  // Who is dead says nothing, which another attempt believes after a minute.
  killed: ({ store }) => {
    for (const key of store?.bucket.keys().filter((one) => one.endsWith('.status.json')) ?? []) {
      store?.bucket.age(key, 60_000);
    }
  },
  // An upload cannot be taken up again: its image makes way for another one.
  isBegunAnew: /^(POST|PUT|DELETE) image /,
});

await killMatrix(platform, {
  title: 'create_network, connected to a router',
  call: ({ cloud }) => [
    'create_network',
    [
      {
        type: 'manual',
        range: '10.9.0.0/24',
        gateway: '10.9.0.1',
        cloud_properties: { router_id: cloud.router_id },
      },
    ],
  ],
  leaves: { network: 1, subnet: 1, port: 1 },
});
