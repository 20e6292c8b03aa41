import type { CpiMethod, FunctionMethod, OperatorMethod } from '../cpi/methods.ts';

type Marks = (invocationId: string) => string[];

const nothing: Marks = () => [];

/** What each method creates, in words by which an operator finds it. */
const MARKS: Record<CpiMethod, Marks> = {
  info: nothing,
  create_stemcell: (id) => [`images with the property bosh_cpi_invocation=${id}`],
  delete_stemcell: nothing,
  create_vm: (id) => [`a server 'vm-${id}'`, `ports 'vm-${id}'`],
  delete_vm: nothing,
  has_vm: nothing,
  reboot_vm: nothing,
  set_vm_metadata: nothing,
  calculate_vm_cloud_properties: nothing,
  configure_networks: nothing,
  create_disk: (id) => [`a volume 'volume-${id}'`],
  delete_disk: nothing,
  has_disk: nothing,
  attach_disk: nothing,
  detach_disk: nothing,
  get_disks: nothing,
  resize_disk: nothing,
  update_disk: nothing,
  set_disk_metadata: nothing,
  snapshot_disk: (id) => [`a snapshot 'snapshot-${id}'`],
  delete_snapshot: nothing,
  create_network: (id) => [`a network and a subnet with the description 'bosh-cpi ${id}'`],
  delete_network: nothing,
};

const OPERATOR_MARKS: Record<OperatorMethod, Marks> = {
  stage_stemcell: nothing,
  // Its images go by the object, so that further events find them.
  stemcell_uploaded: nothing,
  upload_stemcell: MARKS.create_stemcell,
  delete_stemcell_image: nothing,
};

type Effect = (...cids: string[]) => string;

/** What may have become of things that were there before, when nobody knows how far a call got. */
const EFFECTS: Partial<Record<FunctionMethod, Effect>> = {
  delete_stemcell: (image) => `image '${image}' may be deleted`,
  delete_stemcell_image: (image) => `image '${image}' may be deleted`,
  delete_vm: (vm) => `VM '${vm}' may be deleted, or in part`,
  reboot_vm: (vm) => `VM '${vm}' may be rebooted`,
  set_vm_metadata: (vm) => `metadata and name of VM '${vm}' may be changed`,
  delete_disk: (disk) => `disk '${disk}' may be deleted`,
  attach_disk: (vm, disk) => `disk '${disk}' may be attached to VM '${vm}'`,
  detach_disk: (vm, disk) => `disk '${disk}' may be detached from VM '${vm}'`,
  resize_disk: (disk) => `disk '${disk}' may be resized`,
  update_disk: (disk) => `type and size of disk '${disk}' may be changed`,
  set_disk_metadata: (disk) => `metadata of disk '${disk}' may be changed`,
  delete_snapshot: (snapshot) => `snapshot '${snapshot}' may be deleted`,
  delete_network: (network) => `network '${network}' may be deleted, or no longer connected to routers`,
};

/** The effect that a call may have had by then; undefined for methods that create something, or change nothing. */
export function effectOf(method: FunctionMethod, args: unknown): string | undefined {
  const cids = (Array.isArray(args) ? args : []).map((arg) => (typeof arg === 'string' ? arg : ''));
  return EFFECTS[method]?.(...cids);
}

/** Whether an attempt that was stopped can be taken back by what it handed on, although it created nothing. */
export function canBeUndone(method: FunctionMethod): boolean {
  return method === 'attach_disk';
}

/** Whether a Director may call it. */
export function isMethod(name: string): name is CpiMethod {
  return Object.hasOwn(MARKS, name);
}

/** What an invocation of the method may leave behind; empty for methods that create nothing. */
export function marksOf(method: FunctionMethod, invocationId: string): string[] {
  return { ...MARKS, ...OPERATOR_MARKS }[method](invocationId);
}
