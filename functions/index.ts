import type { CpiMethod, FunctionMethod, OperatorMethod } from '#lib/cpi/methods.ts';
import type { CpiHandler } from '#lib/middleware/cpi-function.ts';

/** What a Director calls: every CPI method's function, loaded when it is called. */
export const functions = {
  info: () => import('./info.ts'),
  create_stemcell: () => import('./create-stemcell.ts'),
  delete_stemcell: () => import('./delete-stemcell.ts'),
  create_vm: () => import('./create-vm.ts'),
  delete_vm: () => import('./delete-vm.ts'),
  has_vm: () => import('./has-vm.ts'),
  reboot_vm: () => import('./reboot-vm.ts'),
  set_vm_metadata: () => import('./set-vm-metadata.ts'),
  calculate_vm_cloud_properties: () => import('./calculate-vm-cloud-properties.ts'),
  configure_networks: () => import('./configure-networks.ts'),
  create_disk: () => import('./create-disk.ts'),
  delete_disk: () => import('./delete-disk.ts'),
  has_disk: () => import('./has-disk.ts'),
  attach_disk: () => import('./attach-disk.ts'),
  detach_disk: () => import('./detach-disk.ts'),
  get_disks: () => import('./get-disks.ts'),
  resize_disk: () => import('./resize-disk.ts'),
  update_disk: () => import('./update-disk.ts'),
  set_disk_metadata: () => import('./set-disk-metadata.ts'),
  snapshot_disk: () => import('./snapshot-disk.ts'),
  delete_snapshot: () => import('./delete-snapshot.ts'),
  create_network: () => import('./create-network.ts'),
  delete_network: () => import('./delete-network.ts'),
} satisfies Record<CpiMethod, () => Promise<{ handler: CpiHandler }>>;

/** What the binary, events and operators call, and a Director never does. */
export const operatorFunctions = {
  stage_stemcell: () => import('./stage-stemcell.ts'),
  stemcell_uploaded: () => import('./stemcell-uploaded.ts'),
  delete_stemcell_image: () => import('./delete-stemcell-image.ts'),
} satisfies Partial<Record<OperatorMethod, () => Promise<{ handler: CpiHandler }>>>;

/** On every platform that functions run on. */
export const deployedFunctions = { ...functions, ...operatorFunctions };

/** In the binary's own process: what reads files of its machine is not deployed. */
export const localFunctions = {
  ...deployedFunctions,
  upload_stemcell: () => import('./upload-stemcell.ts'),
} satisfies Partial<Record<FunctionMethod, () => Promise<{ handler: CpiHandler }>>>;
