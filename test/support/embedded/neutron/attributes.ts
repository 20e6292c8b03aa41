import { isObject, uuidPattern } from '../http.ts';
import { parseCidr, parseIp } from '../ip.ts';
import { python } from '../schema.ts';
import { failure, forbidden } from './failures.ts';
import type { Call } from './requests.ts';

/** How the attributes of a resource may be given and filtered. */
interface Attribute {
  /** Returns what is wrong with a value, in Neutron's words. */
  check?: (value: unknown) => string | undefined;
  post?: boolean;
  put?: boolean;
  required?: boolean;
  /** Only an administrator may set it. */
  adminOnly?: boolean;
  filter?: boolean;
}

export type Attributes = Record<string, Attribute>;

const text =
  (limit: number) =>
  (value: unknown): string | undefined => {
    if (typeof value !== 'string') {
      return `${python(String(value))} is not a valid string.`;
    }
    return value.length > limit ? `'${value}' exceeds maximum length of ${limit}.` : undefined;
  };
const id = (value: unknown): string | undefined =>
  typeof value === 'string' && uuidPattern.test(value) ? undefined : `'${value}' is not a valid UUID.`;
const idOrNull = (value: unknown): string | undefined => (value === null ? undefined : id(value));
const ids = (value: unknown): string | undefined => {
  if (!Array.isArray(value)) {
    return `${python(value)} is not a list.`;
  }
  return value.map(id).find((problem) => problem !== undefined);
};
const boolean = (value: unknown): string | undefined =>
  typeof value === 'boolean' ||
  (typeof value === 'string' && ['true', 'false', 'True', 'False', '0', '1'].includes(value)) ||
  value === 0 ||
  value === 1
    ? undefined
    : `'${value}' cannot be converted to boolean.`;
const address = (value: unknown): string | undefined =>
  typeof value === 'string' && parseIp(value) !== undefined
    ? undefined
    : `'${value}' is not a valid IP address.`;

const settable: Attribute = { post: true, put: true, filter: true };
const readOnly: Attribute = { filter: true };
const common: Attributes = {
  id: readOnly,
  tenant_id: { post: true, adminOnly: true, filter: true },
  project_id: { post: true, adminOnly: true, filter: true },
  description: { ...settable, check: text(255) },
  // Taken in a create request, and ignored there.
  tags: { post: true, filter: true },
  created_at: readOnly,
  updated_at: readOnly,
  revision_number: readOnly,
};
const name: Attribute = { ...settable, check: text(255) };

const networkAttributes: Attributes = {
  ...common,
  name,
  admin_state_up: { ...settable, check: boolean },
  mtu: settable,
  status: readOnly,
  shared: { ...settable, check: boolean, adminOnly: true },
  'router:external': { ...settable, check: boolean, adminOnly: true },
  'provider:network_type': { ...settable, adminOnly: true },
  'provider:physical_network': { ...settable, adminOnly: true },
  'provider:segmentation_id': { ...settable, adminOnly: true },
  port_security_enabled: { post: true, put: true, check: boolean },
  availability_zone_hints: { post: true },
  is_default: { post: true, put: true, adminOnly: true },
};

const subnetAttributes: Attributes = {
  ...common,
  name,
  network_id: { post: true, filter: true, required: true, check: id },
  ip_version: {
    post: true,
    filter: true,
    required: true,
    check: (value) => (value === 4 || value === 6 ? undefined : `${value} is not in valid_values.`),
  },
  cidr: { post: true, filter: true },
  prefixlen: { post: true },
  subnetpool_id: { post: true, filter: true, check: idOrNull },
  gateway_ip: { ...settable, check: (value) => (value === null ? undefined : address(value)) },
  enable_dhcp: { ...settable, check: boolean },
  allocation_pools: { post: true, put: true },
  host_routes: { post: true, put: true },
  dns_nameservers: { post: true, put: true },
  ipv6_ra_mode: { post: true, filter: true },
  ipv6_address_mode: { post: true, filter: true },
  service_types: { post: true, put: true },
};

const portAttributes: Attributes = {
  ...common,
  name,
  network_id: { post: true, filter: true, required: true, check: id },
  mac_address: { post: true, filter: true },
  admin_state_up: { ...settable, check: boolean },
  status: readOnly,
  device_id: { ...settable, check: text(255) },
  device_owner: { ...settable, check: text(255) },
  fixed_ips: { ...settable, check: fixedIpsProblem },
  security_groups: { ...settable, check: ids },
  allowed_address_pairs: { post: true, put: true },
  port_security_enabled: { post: true, put: true, check: boolean },
  extra_dhcp_opts: { post: true, put: true },
  'binding:vnic_type': { post: true, put: true },
  'binding:host_id': { post: true, put: true, adminOnly: true, filter: true },
  'binding:profile': { post: true, put: true, adminOnly: true },
};

const floatingIpAttributes: Attributes = {
  ...common,
  floating_ip_address: { post: true, filter: true, adminOnly: true },
  floating_network_id: { post: true, filter: true, required: true, check: id },
  router_id: readOnly,
  port_id: { ...settable, check: idOrNull },
  fixed_ip_address: settable,
  status: readOnly,
  subnet_id: { post: true },
};

const routerAttributes: Attributes = {
  ...common,
  name,
  admin_state_up: { ...settable, check: boolean },
  status: readOnly,
  external_gateway_info: { post: true, put: true },
};

const securityGroupAttributes: Attributes = {
  ...common,
  name,
  stateful: { ...settable, check: boolean },
  shared: readOnly,
};

const subnetPoolAttributes: Attributes = {
  ...common,
  name: { ...name, required: true },
  prefixes: { post: true, put: true, required: true },
  default_prefixlen: settable,
  min_prefixlen: settable,
  max_prefixlen: settable,
  default_quota: settable,
  is_default: { ...settable, adminOnly: true },
  shared: { post: true, filter: true, adminOnly: true },
  address_scope_id: settable,
  ip_version: readOnly,
};

export interface Collection {
  singular: string;
  plural: string;
  attributes: Attributes;
}

const collections: Record<string, Collection> = {
  networks: { singular: 'network', plural: 'networks', attributes: networkAttributes },
  subnets: { singular: 'subnet', plural: 'subnets', attributes: subnetAttributes },
  ports: { singular: 'port', plural: 'ports', attributes: portAttributes },
  floatingips: { singular: 'floatingip', plural: 'floatingips', attributes: floatingIpAttributes },
  routers: { singular: 'router', plural: 'routers', attributes: routerAttributes },
  'security-groups': {
    singular: 'security_group',
    plural: 'security_groups',
    attributes: securityGroupAttributes,
  },
  subnetpools: { singular: 'subnetpool', plural: 'subnetpools', attributes: subnetPoolAttributes },
};

export function collection(path: string): Collection {
  const found = collections[path];
  if (!found) {
    throw new Error(`No such collection: ${path}`);
  }
  return found;
}

/** Attributes of the body, after the checks that Neutron makes before it looks at anything else. */
export function checked(call: Call, path: string, verb: 'post' | 'put'): Record<string, unknown> {
  const { singular, attributes } = collection(path);
  const given = call.given[singular];
  if (!isObject(given)) {
    throw failure(400, 'HTTPBadRequest', `Unable to find '${singular}' in request body`);
  }
  for (const [key, attribute] of Object.entries(attributes)) {
    if (verb === 'post' && attribute.required === true && given[key] === undefined) {
      throw failure(
        400,
        'HTTPBadRequest',
        `Failed to parse request. Required attribute '${key}' not specified`,
      );
    }
  }
  const fixed = Object.keys(given).find((key) => attributes[key] && attributes[key][verb] !== true);
  if (fixed !== undefined) {
    throw failure(
      400,
      'HTTPBadRequest',
      verb === 'put'
        ? `Cannot update read-only attribute ${fixed}`
        : `Attribute '${fixed}' not allowed in POST`,
    );
  }
  for (const [key, attribute] of Object.entries(attributes)) {
    const problem = given[key] === undefined ? undefined : attribute.check?.(given[key]);
    if (problem !== undefined) {
      throw failure(400, 'HTTPBadRequest', `Invalid input for ${key}. Reason: ${problem}`);
    }
  }
  const unknown = Object.keys(given).filter((key) => !attributes[key]);
  if (unknown.length > 0) {
    throw failure(400, 'HTTPBadRequest', `Unrecognized attribute(s) '${unknown.join(', ')}'`);
  }
  const privileged = Object.keys(given).filter(
    (key) =>
      attributes[key]?.adminOnly === true &&
      !call.caller.admin &&
      !(key.endsWith('_id') && given[key] === call.caller.projectId),
  );
  if (privileged.includes('tenant_id') || privileged.includes('project_id')) {
    throw failure(
      400,
      'HTTPBadRequest',
      "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges",
    );
  }
  if (privileged.length > 0) {
    const action = verb === 'post' ? `create_${singular}` : `update_${singular}`;
    throw forbidden([action, ...privileged.map((key) => `${action}:${key}`)]);
  }
  return given;
}

function fixedIpsProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) {
    return `Invalid data format for fixed IP: '${value}'.`;
  }
  for (const entry of value) {
    if (!isObject(entry)) {
      return `Invalid data format for fixed IP: '${entry}'.`;
    }
    if (entry.ip_address !== undefined) {
      const problem = address(entry.ip_address);
      if (problem !== undefined) {
        return problem;
      }
    }
    if (entry.subnet_id !== undefined) {
      const problem = id(entry.subnet_id);
      if (problem !== undefined) {
        return problem;
      }
    }
  }
  return undefined;
}

export function checkAddressPairs(value: unknown): void {
  if (value === undefined || value === null) {
    return;
  }
  if (!Array.isArray(value)) {
    throw failure(400, 'HTTPBadRequest', 'Allowed address pairs must be a list.');
  }
  const seen = new Set<string>();
  for (const pair of value) {
    if (!isObject(pair) || pair.ip_address === undefined) {
      throw failure(400, 'AddressPairMissingIP', 'AllowedAddressPair must contain ip_address');
    }
    const unknown = Object.keys(pair).filter((key) => !['ip_address', 'mac_address'].includes(key));
    if (unknown.length > 0) {
      throw failure(400, 'HTTPBadRequest', `Unrecognized attribute(s) '${unknown.join(', ')}'`);
    }
    const given = String(pair.ip_address);
    if (given.includes('/') && !parseCidr(given)) {
      throw failure(400, 'HTTPBadRequest', `'${given}' is not a valid IP subnet`);
    }
    if (!given.includes('/') && parseIp(given) === undefined) {
      throw failure(400, 'HTTPBadRequest', `'${given}' is not a valid IP address`);
    }
    const mac = typeof pair.mac_address === 'string' ? pair.mac_address : 'None';
    if (seen.has(`${mac} ${given}`)) {
      throw failure(
        400,
        'DuplicateAddressPairInRequest',
        `Request contains duplicate address pair: mac_address ${mac} ip_address ${given}.`,
      );
    }
    seen.add(`${mac} ${given}`);
  }
}
