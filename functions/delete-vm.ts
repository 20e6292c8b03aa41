import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { deleteVm } from '#lib/vm/delete-vm.ts';

/** Deletes a VM with its ports, pool memberships and registry entry. A VM that is already gone counts as deleted. */
export const handler = cpiFunction('delete_vm', async ([vmCid], context) => {
  await deleteVm(vmCid, context);
  return null;
});
