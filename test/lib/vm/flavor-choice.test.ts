import { describe, expect, it } from 'vitest';
import { CloudError } from '#lib/cpi/errors.ts';
import type { Flavor } from '#lib/openstack/nova/flavors.ts';
import { chooseFlavor, requirementsOf } from '#lib/vm/flavor-choice.ts';

function flavor(
  name: string,
  vcpus: number,
  ram: number,
  disk: number,
  ephemeral = 0,
  disabled = false,
): Flavor {
  return {
    id: name,
    name,
    vcpus,
    ram,
    disk,
    swap: '',
    'OS-FLV-EXT-DATA:ephemeral': ephemeral,
    'OS-FLV-DISABLED:disabled': disabled,
  };
}

const need = (cpu: number, ramMib: number, diskGib: number) => ({ cpu, ramMib, diskGib });

describe('requirementsOf', () => {
  it('keeps fractions of a GiB', () => {
    expect(requirementsOf({ cpu: 1, ram: 512, ephemeral_disk_size: 1536 })).toEqual(need(1, 512, 1.5));
  });

  it('takes zero for an answer', () => {
    expect(requirementsOf({ cpu: 0, ram: 0, ephemeral_disk_size: 0 })).toEqual(need(0, 0, 0));
  });

  it.each([
    [{}, "'cpu', 'ram', 'ephemeral_disk_size'"],
    [{ ram: 1, cpu: null }, "'cpu', 'ephemeral_disk_size'"],
  ])('names what is missing in %j', (properties, missing) => {
    expect(() => requirementsOf(properties)).toThrow(
      new CloudError(`Missing VM cloud properties: ${missing}`),
    );
  });
});

describe('chooseFlavor', () => {
  const three = [
    flavor('tiny', 1, 512, 1),
    flavor('m_c2_m16', 2, 16_368, 64),
    flavor('g_c4_m16', 4, 16_368, 64),
  ];

  it.each<[string, Flavor[], ReturnType<typeof need>, string]>([
    ['the smallest that is large enough', three, need(1, 8192, 4), 'm_c2_m16'],
    ['one that fits exactly', [flavor('a', 2, 1024, 7)], need(2, 1024, 4), 'a'],
    [
      'fewer CPUs before less memory',
      [flavor('a', 4, 1024, 10), flavor('b', 2, 4096, 10)],
      need(1, 512, 1),
      'b',
    ],
    [
      'less memory before less disk',
      [flavor('a', 2, 2048, 5), flavor('b', 2, 1024, 50)],
      need(1, 512, 1),
      'b',
    ],
    ['less disk in all', [flavor('a', 2, 1024, 20), flavor('b', 2, 1024, 10)], need(1, 512, 1), 'b'],
    ['the first of equals', [flavor('a', 2, 1024, 10), flavor('b', 2, 1024, 10)], need(1, 512, 1), 'a'],
    [
      'an ephemeral disk of its own before a large root disk',
      [flavor('a', 1, 512, 100), flavor('b', 8, 4096, 3, 10)],
      need(1, 512, 10),
      'b',
    ],
    [
      'the smaller root disk where all is equal in sum',
      [flavor('a', 1, 512, 10, 10), flavor('b', 1, 512, 5, 15)],
      need(1, 512, 8),
      'b',
    ],
    [
      'a root disk with 3 GiB for the system',
      [flavor('a', 1, 512, 12), flavor('b', 2, 512, 13)],
      need(1, 512, 10),
      'b',
    ],
    [
      'a root disk when the ephemeral one is too small',
      [flavor('a', 1, 512, 50, 5), flavor('b', 2, 512, 20)],
      need(1, 512, 10),
      'b',
    ],
    [
      'an ephemeral disk only beside 3 GiB',
      [flavor('a', 1, 512, 2, 10), flavor('b', 2, 512, 20)],
      need(1, 512, 10),
      'b',
    ],
    ['whole GiB', [flavor('a', 1, 512, 3, 1), flavor('b', 2, 512, 3, 2)], need(1, 512, 1.5), 'b'],
    [
      'what is not disabled',
      [flavor('a', 1, 512, 50, 0, true), flavor('b', 2, 512, 50)],
      need(1, 512, 1),
      'b',
    ],
  ])('takes %s', (_, flavors, requirements, expected) => {
    expect(chooseFlavor(requirements, flavors, false)).toEqual({ instance_type: expected });
  });

  it.each([
    [4096, { instance_type: 'small', root_disk: { size: 4099 } }],
    [0.5, { instance_type: 'small' }],
    [7, { instance_type: 'small' }],
    [7.5, { instance_type: 'small', root_disk: { size: 11 } }],
  ])('asks for a boot volume with room for %d GiB', (diskGib, expected) => {
    const flavors = [flavor('ephemeral', 1, 512, 50, 50), flavor('small', 1, 512, 10)];

    expect(chooseFlavor(need(1, 512, diskGib), flavors, true)).toEqual(expected);
  });

  it.each([
    [4, '4'],
    [1.5, '1.5'],
  ])('lists what there is when nothing fits %d GiB', (diskGib, told) => {
    expect(() => chooseFlavor(need(10, 8192, diskGib), three, false)).toThrow(
      new CloudError(
        `Unable to meet requested VM requirements: 10 CPU, 8192 MB RAM, ${told} GB Disk.\n` +
          'Available flavors:\n' +
          'tiny: 1 CPU, 512 MB RAM, 1 GB Disk\n' +
          'm_c2_m16: 2 CPU, 16368 MB RAM, 64 GB Disk\n' +
          'g_c4_m16: 4 CPU, 16368 MB RAM, 64 GB Disk',
      ),
    );
  });
});
