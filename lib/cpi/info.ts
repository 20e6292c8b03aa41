import type { ResultOf } from './methods.ts';

/**
 * Version 3 is safe to report: a Director that knows less takes the minimum of both, the CLI clamps it to 2.
 * https://bosh.io/docs/cpi-api-rpc/#info
 */
export const info: ResultOf['info'] = {
  api_version: 3,
  stemcell_formats: ['openstack-raw', 'openstack-qcow2', 'openstack-light'],
};
