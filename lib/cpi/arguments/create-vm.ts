import Type from 'typebox';
import { flag, hash, nullable, optional, stemcellCid, text } from './types.ts';

const strings = Type.Array(text(), { description: 'an array of strings' });
const securityGroups = Type.Array(text(), {
  description: 'an array of strings',
  errorMessage: 'security groups must be an Array',
});

const addressPair = Type.Object(
  { ip_address: Type.String(), mac_address: optional(text()) },
  { description: 'an object with ip_address' },
);

const cloudProperties = Type.Object(
  {
    instance_type: optional(text()),
    availability_zone: optional(text()),
    availability_zones: optional(strings),
    key_name: optional(text()),
    security_groups: optional(securityGroups),
    scheduler_hints: optional(hash('scheduler_hints')),
    root_disk: optional(
      Type.Object(
        {
          size: optional(Type.Union([Type.Number(), Type.String()], { description: 'a number of GiB' })),
          type: optional(text()),
        },
        { description: 'an object', additionalProperties: Type.Unknown() },
      ),
    ),
    boot_from_volume: optional(flag()),
    loadbalancer_pools: optional(
      Type.Array(
        Type.Object(
          {
            name: optional(text()),
            port: optional(Type.Integer({ description: 'an integer' })),
            monitoring_port: optional(Type.Integer({ description: 'an integer' })),
          },
          { description: 'an object', additionalProperties: Type.Unknown() },
        ),
        { description: 'an array of pools' },
      ),
    ),
    allowed_address_pairs: optional(
      Type.Union([Type.String(), Type.Array(Type.Union([Type.String(), addressPair]))], {
        description: 'an address, or an array of addresses or objects with ip_address',
      }),
    ),
    vrrp_port_check: optional(flag()),
  },
  { title: 'cloud_properties', description: 'an object', additionalProperties: Type.Unknown() },
);

const networkCloudProperties = Type.Object(
  {
    net_id: optional(text()),
    security_groups: optional(securityGroups),
    vrrp_port_check: optional(flag()),
  },
  { description: 'an object', additionalProperties: Type.Unknown() },
);

const networkSpec = Type.Object(
  {
    type: optional(text()),
    ip: optional(text()),
    netmask: optional(text()),
    gateway: optional(text()),
    dns: optional(strings),
    default: optional(strings),
    cloud_properties: optional(networkCloudProperties),
  },
  { description: 'an object', additionalProperties: Type.Unknown() },
);

export const createVm = Type.Tuple([
  Type.String({ title: 'agent_id', description: 'a non-empty string', minLength: 1 }),
  stemcellCid(),
  cloudProperties,
  Type.Record(Type.String(), networkSpec, {
    title: 'networks',
    description: 'an object',
    errorMessage: 'Invalid spec, Hash expected, {type} provided',
  }),
  nullable(Type.Array(Type.Unknown(), { title: 'disk_cids', description: 'an array' })),
  nullable(hash('env')),
]);
