import { NetworkNotFound } from '#lib/cpi/errors.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { deleteNetwork } from '#lib/network/delete-network.ts';
import { NotFoundError, withReason } from '#lib/openstack/errors.ts';

/** Deletes a managed network with its subnets, after disconnecting it from routers. */
export const handler = cpiFunction('delete_network', async ([networkCid], context) => {
  try {
    await deleteNetwork(networkCid, context.openstack);
  } catch (error) {
    if (error instanceof NotFoundError) {
      // An earlier request may have deleted it, although its answer was lost.
      if (context.mayHaveBegun || error.attempts > 1) {
        return null;
      }
      throw new NetworkNotFound(withReason(`Network '${networkCid}' not found`, error), { cause: error });
    }
    throw error;
  }
  return null;
});
