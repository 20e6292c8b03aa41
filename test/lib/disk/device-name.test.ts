import { describe, expect, it } from 'vitest';
import { CloudError } from '#lib/cpi/errors.ts';
import { freeDeviceName, isBootVolume } from '#lib/disk/device-name.ts';
import { toGib } from '#lib/disk/size.ts';
import { snapshotDescription, snapshotMetadata } from '#lib/disk/snapshot-metadata.ts';

const NOTHING = { ephemeral: false, swap: false, configDrive: false };
const at = (...devices: (string | null)[]) =>
  devices.map((device, index) => ({ id: `${index}`, volumeId: `${index}`, serverId: 's', device }));

describe('freeDeviceName', () => {
  it.each([
    [[], NOTHING, '/dev/sdb'],
    [[], { ...NOTHING, ephemeral: true }, '/dev/sdc'],
    [[], { ...NOTHING, ephemeral: true, swap: true }, '/dev/sdd'],
    [[], { ephemeral: true, swap: true, configDrive: true }, '/dev/sde'],
    [[], { ...NOTHING, configDrive: true }, '/dev/sdc'],
    [['/dev/sdb', '/dev/sdc'], NOTHING, '/dev/sdd'],
    [['/dev/vdb', '/dev/xvdc'], NOTHING, '/dev/sdd'],
    [['/dev/vda', '/dev/vdc'], NOTHING, '/dev/sdb'],
    [[null, 'virtio-1', '/dev/nvme0n1', '/dev/sdbb'], NOTHING, '/dev/sdb'],
    [['/dev/sde'], { ephemeral: true, swap: true, configDrive: true }, '/dev/sdf'],
  ])('beside %j and %j is free %s', (devices, local, expected) => {
    expect(freeDeviceName(at(...devices), local)).toBe(expected);
  });

  it('goes up to z, and no further', () => {
    const devices = [...'bcdefghijklmnopqrstuvwxy'].map((letter) => `/dev/vd${letter}`);

    expect(freeDeviceName(at(...devices), NOTHING)).toBe('/dev/sdz');
    expect(() => freeDeviceName(at(...devices, '/dev/vdz'), NOTHING)).toThrow(
      new CloudError('Server has too many disks attached'),
    );
  });
});

describe('isBootVolume', () => {
  it.each([
    ['/dev/sda', undefined, true],
    ['/dev/vda', false, true],
    ['/dev/xvda', undefined, true],
    ['/dev/vdb', undefined, false],
    ['/dev/vdb', true, true],
    ['/dev/vdb', false, false],
    ['/dev/vdaa', undefined, false],
    [null, undefined, false],
  ])('of %s with delete_on_termination %s is %s', (device, deleted, expected) => {
    const attachment = { id: '1', volumeId: '1', serverId: 's', device };

    expect(
      isBootVolume({ ...attachment, ...(deleted === undefined ? {} : { delete_on_termination: deleted }) }),
    ).toBe(expected);
  });
});

describe('toGib', () => {
  it.each([
    [1024, 1],
    [1025, 2],
    [2047, 2],
    [2048, 2],
    [1, 1],
    [1_024_000, 1000],
  ])('rounds %i MiB up to %i GiB', (mib, gib) => {
    expect(toGib(mib)).toBe(gib);
  });
});

describe('snapshotDescription', () => {
  const volume = (...devices: (string | null)[]) => ({
    id: 'v',
    name: 'v',
    status: 'in-use',
    size: 1,
    volume_type: null,
    attachments: devices.map((device) => ({ server_id: 's', device })),
  });

  it.each([
    [{ deployment: 'd', job: 'j', index: 0 }, volume('/dev/vdb'), 'd/j/0/vdb'],
    [{ deployment: 'd', job: 'j', index: 0 }, volume(), 'd/j/0'],
    [{ deployment: 'd', job: 'j', index: 0 }, volume(null), 'd/j/0'],
    [{ deployment: 'd', job: null, index: '' }, volume('/dev/vdb', '/dev/vdc'), 'd/vdb'],
    [{}, volume(), ''],
  ])('of %j is made of what is known', (metadata, attached, expected) => {
    expect(snapshotDescription(metadata, attached)).toBe(expected);
  });
});

describe('snapshotMetadata', () => {
  it.each([
    [
      { director_name: 'n', deployment: 'd', job: 'j', index: 0, instance_id: 'i', agent_id: 'a', custom: 5 },
      {
        director: 'n',
        deployment: 'd',
        instance_index: '0',
        instance_name: 'j/i',
        instance_id: 'i',
        agent_id: 'a',
        custom: '5',
      },
    ],
    [{ job: 'j' }, { job: 'j' }],
    [{ instance_id: 'i' }, { instance_id: 'i' }],
    [{ job: null, index: null, director_name: null }, {}],
    [{}, {}],
  ])('of %j has the names that operators know', (metadata, expected) => {
    expect(snapshotMetadata(metadata)).toEqual(expected);
  });
});
