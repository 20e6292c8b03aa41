import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { chooseFlavor, requirementsOf } from '#lib/vm/flavor-choice.ts';

/** Finds the smallest flavor that has the CPUs, memory and disk which are asked for. */
export const handler = cpiFunction('calculate_vm_cloud_properties', async ([properties], context) => {
  const { openstack, cloud } = context;
  const requirements = requirementsOf(properties);
  return chooseFlavor(requirements, await openstack.flavors.list(), cloud.bootFromVolume);
});
