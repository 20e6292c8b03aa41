import { describe, expect, it } from 'vitest';
import { Logger } from '#lib/log/logger.ts';
import {
  type StemcellProperties,
  stemcellImageProperties,
  withTags,
} from '#lib/stemcell/image-properties.ts';
import { imageIdOf, isLight, lightCid } from '#lib/stemcell/stemcell-cid.ts';

describe('stemcellImageProperties', () => {
  it('takes what Glance and Nova understand from a stemcell, as strings', () => {
    const properties = {
      name: 'bosh-openstack-kvm-ubuntu-jammy-go_agent',
      version: '1.390',
      infrastructure: 'openstack',
      hypervisor: 'kvm',
      disk: 5120,
      disk_format: 'qcow2',
      container_format: 'bare',
      os_type: 'linux',
      os_distro: 'ubuntu',
      architecture: 'x86_64',
      auto_disk_config: true,
      root_device_name: '/dev/sda1',
    };

    expect(stemcellImageProperties(properties)).toEqual({
      version: '1.390',
      hypervisor_type: 'kvm',
      os_type: 'linux',
      os_distro: 'ubuntu',
      architecture: 'x86_64',
      auto_disk_config: 'true',
    });
  });

  it.each([
    'hw_vif_model',
    'hw_disk_bus',
    'hw_disk_bus_model',
    'hw_scsi_model',
    'hw_vif_multiqueue_enabled',
    'hw_something_new',
    'os_require_quiesce',
    'img_config_drive',
    'vmware_adaptertype',
    'vmware_disktype',
    'vmware_linked_clone',
    'vmware_ostype',
    'hypervisor_type',
  ])('passes %s on', (name) => {
    expect(stemcellImageProperties({ [name]: 'value' })).toEqual({ [name]: 'value' });
  });

  it.each([
    [
      { auto_disk_config: false, hw_a: true },
      { auto_disk_config: 'false', hw_a: 'true' },
    ],
    [
      { version: 1.5, hw_a: 5 },
      { version: '1.5', hw_a: '5' },
    ],
    [{ version: null, os_type: null, hw_a: null, hypervisor: null }, {}],
    [{ os_hash_algo: 'x', os_hash_value: 'x', os_hidden: true }, {}],
    [{ hypervisor: 'kvm', hypervisor_type: 'qemu' }, { hypervisor_type: 'qemu' }],
    [{ img: 'x', hypervisor_types: 'x', tags: { a: 'b' } }, {}],
  ])('makes of %j', (properties, expected) => {
    const given: StemcellProperties & Record<string, unknown> = properties;

    expect(stemcellImageProperties(given)).toEqual(expected);
  });
});

describe('withTags', () => {
  function tagged(properties: Record<string, string>, tags: Record<string, unknown>) {
    const lines: string[] = [];
    const merged = withTags(properties, tags, new Logger((line) => lines.push(line.replace(/^\S+ /, ''))));
    return { merged, lines };
  }

  it('adds tags as strings of at most 255 characters', () => {
    const { merged, lines } = tagged(
      { os_distro: 'ubuntu' },
      { a: 'b', n: 5, t: true, o: { x: 1 }, none: null, ['k'.repeat(300)]: 'v'.repeat(300) },
    );

    expect(merged).toEqual({
      os_distro: 'ubuntu',
      a: 'b',
      n: '5',
      t: 'true',
      o: '{"x":1}',
      ['k'.repeat(255)]: 'v'.repeat(255),
    });
    expect(lines).toEqual([]);
  });

  it.each([
    'os_distro',
    'id',
    'name',
    'status',
    'visibility',
    'tags',
    'protected',
    'min_disk',
    'disk_format',
    'container_format',
    'locations',
    'stores',
    'kernel_id',
    'ramdisk_id',
    'stemcell',
    'bosh_cpi_invocation',
    'bosh_cpi_role',
  ])('does not take a tag for %s, with a warning', (name) => {
    const { merged, lines } = tagged({ os_distro: 'ubuntu' }, { [name]: 'x', a: 'b' });

    expect(merged).toEqual({ os_distro: 'ubuntu', a: 'b' });
    expect(lines).toEqual([`WARN tag '${name}' not set: the image has a property of that name`]);
  });

  it.each(['constructor', 'toString', 'hasOwnProperty'])('takes a tag of the name %s', (name) => {
    expect(tagged({}, { [name]: 'x' })).toEqual({ merged: { [name]: 'x' }, lines: [] });
  });
});

describe('stemcell CIDs', () => {
  it.each([
    ['1234', false, '1234'],
    ['1234 light', true, '1234'],
    ['light', false, 'light'],
    ['1234 light ', false, '1234 light '],
  ])('%j is light: %s, and of image %j', (cid, light, imageId) => {
    expect(isLight(cid)).toBe(light);
    expect(imageIdOf(cid)).toBe(imageId);
  });

  it('come back from what they were made of', () => {
    expect(imageIdOf(lightCid('1234'))).toBe('1234');
  });
});
