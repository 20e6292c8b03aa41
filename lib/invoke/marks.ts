import type { CpiMethod } from '../cpi/methods.ts';

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

/** Whether an attempt that was stopped can be taken back by what it handed on, although it created nothing. */
export function canBeUndone(method: CpiMethod): boolean {
  return method === 'attach_disk';
}

export function isMethod(name: string): name is CpiMethod {
  return Object.hasOwn(MARKS, name);
}

/** What an invocation of the method may leave behind; empty for methods that create nothing. */
export function marksOf(method: CpiMethod, invocationId: string): string[] {
  return MARKS[method](invocationId);
}
