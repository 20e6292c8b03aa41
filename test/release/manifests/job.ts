import { fileURLToPath } from 'node:url';
import { isRecord, parseJson } from '#lib/json.ts';
import { renderJob } from '../render.ts';

type Properties = Record<string, unknown>;

export const JOB_FOLDER = fileURLToPath(new URL('../../../bosh-release/jobs/openstack_cpi', import.meta.url));

/** What a manifest gives at least. */
export const OPENSTACK = {
  auth_url: 'https://keystone.example.org:5000/v3',
  username: 'bosh',
  api_key: 'a-password',
  project: 'cf',
  domain: 'Default',
  default_key_name: 'bosh',
  default_security_groups: ['bosh'],
};

/** What the job has for properties that a manifest does not set, as the other OpenStack CPIs' jobs do. */
export const OPENSTACK_DEFAULTS = {
  endpoint_type: 'publicURL',
  state_timeout: 300,
  wait_resource_poll_interval: 5,
  boot_from_volume: false,
  stemcell_public_visibility: false,
  use_dhcp: true,
  ignore_server_availability_zone: false,
  human_readable_vm_names: false,
  use_nova_networking: false,
};

/** `cloud.properties` of the rendered file. */
export async function renderedProperties(properties: Properties): Promise<Properties> {
  const files = await renderJob({ jobFolder: JOB_FOLDER, properties });
  const file = parseJson(files['config/cpi.json'] ?? '');
  const cloud = isRecord(file) ? file.cloud : undefined;
  if (!isRecord(cloud) || cloud.plugin !== 'openstack' || !isRecord(cloud.properties)) {
    throw new Error(`config/cpi.json must have cloud.plugin 'openstack' and cloud.properties`);
  }
  return cloud.properties;
}

/** What the other way round is `a.b`, by its parts. */
export function nested(path: string, value: unknown): Properties {
  const [first = '', ...rest] = path.split('.');
  return { [first]: rest.length === 0 ? value : nested(rest.join('.'), value) };
}

export function merged(one: Properties, other: Properties): Properties {
  const both = Object.entries(other).map(([name, value]) => {
    const before = one[name];
    return [name, isRecord(before) && isRecord(value) ? merged(before, value) : value];
  });
  return { ...one, ...Object.fromEntries(both) };
}
