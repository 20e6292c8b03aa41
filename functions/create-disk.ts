import type { ArgumentsOf } from '#lib/cpi/arguments/index.ts';
import type { CallContext } from '#lib/cpi/call-context.ts';
import { CloudError } from '#lib/cpi/errors.ts';
import { storageMade } from '#lib/disk/create-storage.ts';
import { createVolume } from '#lib/disk/create-volume.ts';
import { toGib } from '#lib/disk/size.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

const MIN_SIZE_MIB = 1024;
const HISTORIC_MAX_SIZE_MIB = 1024 * 1000;

/** Creates a volume in the zone of the VM that it is for, if one is named. */
export const handler = cpiFunction('create_disk', create, (_, context) =>
  storageMade(context.openstack.volumes, nameOf(context), context),
);

async function create([sizeMib, cloudProperties, vmCid]: ArgumentsOf['create_disk'], context: CallContext) {
  const { openstack, cloud } = context;
  checkSize(sizeMib, cloud.maxDiskSizeMib);
  const type = 'type' in cloudProperties ? cloudProperties.type : cloud.defaultVolumeType;
  return createVolume(
    async () => {
      const isZoneCopied = vmCid !== null && !cloud.ignoreServerAvailabilityZone;
      const server = isZoneCopied ? await openstack.servers.find(vmCid) : undefined;
      const zone = server?.['OS-EXT-AZ:availability_zone'];
      return {
        name: nameOf(context),
        description: '',
        size: toGib(sizeMib),
        ...(type ? { volume_type: type } : {}),
        ...(zone ? { availability_zone: zone } : {}),
      };
    },
    nameOf(context),
    context,
  );
}

/** Used for nothing else, so that a repeated call finds the volume. */
function nameOf({ invocationId }: CallContext): string {
  return `volume-${invocationId}`;
}

function checkSize(sizeMib: number, maxSizeMib: number | undefined): void {
  if (sizeMib < MIN_SIZE_MIB) {
    throw new CloudError('Minimum disk size is 1 GiB');
  }
  if (maxSizeMib !== undefined && sizeMib > maxSizeMib) {
    const limit = maxSizeMib === HISTORIC_MAX_SIZE_MIB ? '1 TiB' : `${maxSizeMib} MiB`;
    throw new CloudError(`Maximum disk size is ${limit}`);
  }
}
