import { formatMetadata } from '../cpi/metadata.ts';
import type { Volume } from '../openstack/cinder/volumes.ts';

/** `<deployment>/<job>/<index>`, and the device where the volume is attached; whatever of these is known. */
export function snapshotDescription(metadata: Record<string, unknown>, volume: Volume): string {
  const device = volume.attachments[0]?.device?.split('/').at(-1);
  return [metadata.deployment, metadata.job, metadata.index, device]
    .filter((part) => part !== undefined && part !== null && part !== '')
    .join('/');
}

/** What the Director says of a snapshot, under the names that its own tools show. */
export function snapshotMetadata(metadata: Record<string, unknown>): Record<string, string> {
  const { director_name: director, index, job, ...others } = metadata;
  const { instance_id: instanceId } = metadata;
  const isNamed = isPresent(job) && isPresent(instanceId);
  return formatMetadata({
    ...others,
    ...(isPresent(director) ? { director } : {}),
    ...(isPresent(index) ? { instance_index: index } : {}),
    ...(isNamed ? { instance_name: `${job}/${instanceId}` } : isPresent(job) ? { job } : {}),
  });
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}
