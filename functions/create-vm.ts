import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { createVm, removeEarlier } from '#lib/vm/create-vm.ts';
import { lookUp } from '#lib/vm/look-ups.ts';
import { MadeForVm } from '#lib/vm/made-for-vm.ts';
import { planVm } from '#lib/vm/vm-plan.ts';

/** Creates a VM from a stemcell: everything is looked up first, and a VM that cannot be completed leaves nothing behind. */
export const handler = cpiFunction(
  'create_vm',
  async (args, context) => {
    const plan = planVm(args, context);
    const found = await lookUp(plan, context).catch((error) => removeEarlier(error, plan, context));
    const { serverId, networks } = await createVm(plan, found, context);
    return context.request.apiVersion === 1 ? serverId : [serverId, networks];
  },
  (args, context) => new MadeForVm(planVm(args, context), context).stages(),
);
