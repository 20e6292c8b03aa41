import packageJson from '../../package.json' with { type: 'json' };

/** How we introduce ourselves to OpenStack's APIs. */
export const USER_AGENT = `bosh-openstack-cpi/${packageJson.version}`;
