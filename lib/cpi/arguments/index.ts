import type { Static } from 'typebox';
import type { attachDisk } from './attach-disk.ts';
import type { calculateVmCloudProperties } from './calculate-vm-cloud-properties.ts';
import type { configureNetworks } from './configure-networks.ts';
import type { createDisk } from './create-disk.ts';
import type { createNetwork } from './create-network.ts';
import type { createStemcell } from './create-stemcell.ts';
import type { createVm } from './create-vm.ts';
import type { deleteDisk } from './delete-disk.ts';
import type { deleteNetwork } from './delete-network.ts';
import type { deleteSnapshot } from './delete-snapshot.ts';
import type { deleteStemcell } from './delete-stemcell.ts';
import type { deleteStemcellImage } from './delete-stemcell-image.ts';
import type { deleteVm } from './delete-vm.ts';
import type { detachDisk } from './detach-disk.ts';
import type { getDisks } from './get-disks.ts';
import type { hasDisk } from './has-disk.ts';
import type { hasVm } from './has-vm.ts';
import type { info } from './info.ts';
import type { rebootVm } from './reboot-vm.ts';
import type { resizeDisk } from './resize-disk.ts';
import type { setDiskMetadata } from './set-disk-metadata.ts';
import type { setVmMetadata } from './set-vm-metadata.ts';
import type { snapshotDisk } from './snapshot-disk.ts';
import type { stageStemcell } from './stage-stemcell.ts';
import type { stemcellUploaded } from './stemcell-uploaded.ts';
import type { updateDisk } from './update-disk.ts';
import type { uploadStemcell } from './upload-stemcell.ts';

/** The arguments of every method, as its schema describes them. */
export interface ArgumentsOf {
  info: Static<typeof info>;
  create_stemcell: Static<typeof createStemcell>;
  delete_stemcell: Static<typeof deleteStemcell>;
  create_vm: Static<typeof createVm>;
  delete_vm: Static<typeof deleteVm>;
  has_vm: Static<typeof hasVm>;
  reboot_vm: Static<typeof rebootVm>;
  set_vm_metadata: Static<typeof setVmMetadata>;
  calculate_vm_cloud_properties: Static<typeof calculateVmCloudProperties>;
  configure_networks: Static<typeof configureNetworks>;
  create_disk: Static<typeof createDisk>;
  delete_disk: Static<typeof deleteDisk>;
  has_disk: Static<typeof hasDisk>;
  attach_disk: Static<typeof attachDisk>;
  detach_disk: Static<typeof detachDisk>;
  get_disks: Static<typeof getDisks>;
  resize_disk: Static<typeof resizeDisk>;
  update_disk: Static<typeof updateDisk>;
  set_disk_metadata: Static<typeof setDiskMetadata>;
  snapshot_disk: Static<typeof snapshotDisk>;
  delete_snapshot: Static<typeof deleteSnapshot>;
  create_network: Static<typeof createNetwork>;
  delete_network: Static<typeof deleteNetwork>;
}

/** The same of the functions that a Director never calls. */
export interface OperatorArgumentsOf {
  stage_stemcell: Static<typeof stageStemcell>;
  stemcell_uploaded: Static<typeof stemcellUploaded>;
  upload_stemcell: Static<typeof uploadStemcell>;
  delete_stemcell_image: Static<typeof deleteStemcellImage>;
}
