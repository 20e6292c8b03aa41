import type { CallContext } from '../cpi/call-context.ts';
import { CloudError } from '../cpi/errors.ts';
import { type StemcellProperties, stemcellImageProperties, withTags } from './image-properties.ts';

const ROOT_IMAGE = 'root.img';
/** The image property that marks what a call has made. */
export const INVOCATION = 'bosh_cpi_invocation';

export type Role = 'kernel' | 'ramdisk' | 'main';

/** What a stemcell says of its images. */
export interface StemcellImage {
  properties: StemcellProperties;
  tags: Record<string, unknown>;
  /** Properties of all its images, which say where they come from. */
  origin?: Record<string, string>;
}

/** An image to be made from one file of the archive. */
export interface PlannedImage {
  role: Role;
  file: string;
  /** Says that the archive does not have it. */
  missing: string;
  /** Everything but the id and what refers to the other images. */
  attributes: { name: string; disk_format: string; container_format: string } & Record<string, string>;
  /** Of images that are there already. */
  kernelId?: string;
  ramdiskId?: string;
}

/**
 * In the order in which their records are made: the main image refers to the others.
 * @throws {CloudError}
 */
export function plannedImages(
  { properties, tags, origin = {} }: StemcellImage,
  { invocationId, log }: Pick<CallContext, 'invocationId' | 'log'>,
): PlannedImage[] {
  if (properties.image_location) {
    throw new CloudError('image_location is not supported: Glance v1 is gone');
  }
  const name = `${properties.name ?? ''}/${properties.version ?? ''}`;
  const mark = (role: Role) => ({ ...origin, [INVOCATION]: invocationId, bosh_cpi_role: role });
  const images: PlannedImage[] = [];
  const companions = [
    { role: 'kernel', file: properties.kernel_file, id: properties.kernel_id, kind: 'Kernel', format: 'aki' },
    {
      role: 'ramdisk',
      file: properties.ramdisk_file,
      id: properties.ramdisk_id,
      kind: 'Ramdisk',
      format: 'ari',
    },
  ] as const;
  for (const { role, file, id, kind, format } of companions) {
    if (file && !id) {
      images.push({
        role,
        file: file.replace(/^(\.\/)+/, ''),
        missing: `${kind} image ${file} is missing from stemcell archive`,
        attributes: {
          name: `${name}-${format.toUpperCase()}`,
          disk_format: format,
          container_format: format,
          stemcell: name,
          ...mark(role),
        },
      });
    }
  }
  const allTags = { ...properties.tags, ...tags };
  images.push({
    role: 'main',
    file: ROOT_IMAGE,
    missing: 'Root image is missing from stemcell archive',
    attributes: {
      ...withTags(stemcellImageProperties(properties), allTags, log),
      name,
      disk_format: properties.disk_format ?? 'qcow2',
      container_format: properties.container_format ?? 'bare',
      ...mark('main'),
    },
    ...(properties.kernel_id ? { kernelId: properties.kernel_id } : {}),
    ...(properties.ramdisk_id ? { ramdiskId: properties.ramdisk_id } : {}),
  });
  return images;
}
