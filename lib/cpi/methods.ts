import type { ArgumentsOf, OperatorArgumentsOf } from './arguments/index.ts';

/** Methods of the CPI contract that have a function. https://bosh.io/docs/cpi-api-v2/ */
export type CpiMethod = keyof ArgumentsOf;

/** What operators, the binary and events call, and a Director never does. */
export type OperatorMethod = keyof OperatorArgumentsOf;

export type FunctionMethod = CpiMethod | OperatorMethod;

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
  stage_stemcell: { url: string; source: string } | null;
  stemcell_uploaded: UploadedObject[];
  upload_stemcell: { image_id: string; name: string; version: string };
  delete_stemcell_image: { image_id: string };
}

/** What became of an object that an event told of. */
export interface UploadedObject {
  bucket: string;
  key: string;
  state: 'active' | 'failed' | 'ignored';
  image_id?: string;
  /** Why it failed, or is ignored. */
  reason?: string;
}
