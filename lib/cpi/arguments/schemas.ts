import type { TSchema } from 'typebox';
import type { CpiMethod, OperatorMethod } from '../methods.ts';
import { attachDisk } from './attach-disk.ts';
import { calculateVmCloudProperties } from './calculate-vm-cloud-properties.ts';
import { configureNetworks } from './configure-networks.ts';
import { createDisk } from './create-disk.ts';
import { createNetwork } from './create-network.ts';
import { createStemcell } from './create-stemcell.ts';
import { createVm } from './create-vm.ts';
import { deleteDisk } from './delete-disk.ts';
import { deleteNetwork } from './delete-network.ts';
import { deleteSnapshot } from './delete-snapshot.ts';
import { deleteStemcell } from './delete-stemcell.ts';
import { deleteStemcellImage } from './delete-stemcell-image.ts';
import { deleteVm } from './delete-vm.ts';
import { detachDisk } from './detach-disk.ts';
import { getDisks } from './get-disks.ts';
import { hasDisk } from './has-disk.ts';
import { hasVm } from './has-vm.ts';
import { info } from './info.ts';
import { rebootVm } from './reboot-vm.ts';
import { resizeDisk } from './resize-disk.ts';
import { setDiskMetadata } from './set-disk-metadata.ts';
import { setVmMetadata } from './set-vm-metadata.ts';
import { snapshotDisk } from './snapshot-disk.ts';
import { stageStemcell } from './stage-stemcell.ts';
import { stemcellUploaded } from './stemcell-uploaded.ts';
import { updateDisk } from './update-disk.ts';
import { uploadStemcell } from './upload-stemcell.ts';

/** Read at build time only: functions carry the validators compiled from these. */
export const argumentSchemas = {
  info: info,
  create_stemcell: createStemcell,
  delete_stemcell: deleteStemcell,
  create_vm: createVm,
  delete_vm: deleteVm,
  has_vm: hasVm,
  reboot_vm: rebootVm,
  set_vm_metadata: setVmMetadata,
  calculate_vm_cloud_properties: calculateVmCloudProperties,
  configure_networks: configureNetworks,
  create_disk: createDisk,
  delete_disk: deleteDisk,
  has_disk: hasDisk,
  attach_disk: attachDisk,
  detach_disk: detachDisk,
  get_disks: getDisks,
  resize_disk: resizeDisk,
  update_disk: updateDisk,
  set_disk_metadata: setDiskMetadata,
  snapshot_disk: snapshotDisk,
  delete_snapshot: deleteSnapshot,
  create_network: createNetwork,
  delete_network: deleteNetwork,
} satisfies Record<CpiMethod, TSchema>;

/** The same of the functions that a Director never calls. */
export const operatorArgumentSchemas = {
  stage_stemcell: stageStemcell,
  stemcell_uploaded: stemcellUploaded,
  upload_stemcell: uploadStemcell,
  delete_stemcell_image: deleteStemcellImage,
} satisfies Record<OperatorMethod, TSchema>;
