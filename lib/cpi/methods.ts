import type { ArgumentsOf } from './arguments/index.ts';

/** Methods of the CPI contract that have a function. https://bosh.io/docs/cpi-api-v2/ */
export type CpiMethod = keyof ArgumentsOf;

/** What the methods answer; `null` where the contract has no result. */
export interface ResultOf {
  info: { api_version: number; stemcell_formats: string[] };
  create_stemcell: string;
  delete_stemcell: null;
  create_vm: string | [string, Record<string, object>];
  delete_vm: null;
  has_vm: boolean;
  reboot_vm: null;
  set_vm_metadata: null;
  calculate_vm_cloud_properties: { instance_type: string; root_disk?: { size: number } };
  configure_networks: never;
  create_disk: string;
  delete_disk: null;
  has_disk: boolean;
  attach_disk: string | null;
  detach_disk: null;
  get_disks: string[];
  resize_disk: null;
  update_disk: null;
  set_disk_metadata: null;
  snapshot_disk: string;
  delete_snapshot: null;
  create_network: [string, { range: string; gateway: string; reserved: string[] }, Record<string, unknown>];
  delete_network: null;
}
