import type { ArgumentsOf } from '../cpi/arguments/index.ts';
import { cut, plainText } from '../cpi/metadata.ts';
import type { Logger } from '../log/logger.ts';
import { RESERVED_IMAGE_PROPERTIES } from '../openstack/glance/images.ts';
import { SOURCE } from './image-source.ts';

export type StemcellProperties = ArgumentsOf['create_stemcell'][1];

const KNOWN = new Set([
  'version',
  'os_type',
  'os_distro',
  'architecture',
  'auto_disk_config',
  'vmware_adaptertype',
  'vmware_disktype',
  'vmware_linked_clone',
  'vmware_ostype',
]);
const PASSED_ON = /^(hw_|os_|img_|vmware_|hypervisor_type$)/;
const OUR_PROPERTIES = [
  'bosh_cpi_attempt',
  'bosh_cpi_invocation',
  'bosh_cpi_role',
  SOURCE,
  'kernel_id',
  'ramdisk_id',
  'stemcell',
];

/** The image properties that a stemcell asks for, as strings. */
export function stemcellImageProperties(properties: StemcellProperties): Record<string, string> {
  const passedOn = Object.entries(properties).filter(
    ([key, value]) =>
      isPresent(value) && (KNOWN.has(key) || PASSED_ON.test(key)) && !RESERVED_IMAGE_PROPERTIES.has(key),
  );
  const hypervisor = properties.hypervisor ? { hypervisor_type: properties.hypervisor } : {};
  return { ...hypervisor, ...Object.fromEntries(passedOn.map(([key, value]) => [key, plainText(value)])) };
}

/** Tags as image properties; they never replace what is there, nor what Glance keeps for itself. */
export function withTags(
  properties: Record<string, string>,
  tags: Record<string, unknown>,
  log: Logger,
): Record<string, string> {
  const merged = { ...properties };
  for (const [key, value] of Object.entries(tags)) {
    if (key === '' || !isPresent(value)) {
      continue;
    }
    if (
      Object.hasOwn(properties, key) ||
      RESERVED_IMAGE_PROPERTIES.has(key) ||
      OUR_PROPERTIES.includes(key)
    ) {
      log.warn(`tag '${key}' not set: the image has a property of that name`);
      continue;
    }
    merged[cut(key)] = cut(plainText(value));
  }
  return merged;
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}
