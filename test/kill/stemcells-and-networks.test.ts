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
  title: 'create_stemcell',
  call: () => ['create_stemcell', [archive.path, stemcellProperties]],
  leaves: { image: 1 },
  holds: ({ embedded }, imageId) => {
    expect(embedded.images.get(String(imageId))).toMatchObject({ status: 'active' });
  },
  // An upload cannot be taken up again: its image makes way for another one.
  mayBeRepeated: /^(POST|PUT|DELETE) image /,
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
