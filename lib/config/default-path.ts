/** Where the BOSH job puts the configuration. */
export const DEFAULT_CONFIG_PATH = '/var/vcap/jobs/openstack_cpi/config/cpi.json';
