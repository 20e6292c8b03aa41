import Type from 'typebox';
import { flag, optional, text } from './types.ts';

const cloudProperties = Type.Object(
  {
    name: optional(text()),
    description: optional(text()),
    router_id: optional(text()),
    subnetpool_id: optional(text()),
    enable_dhcp: optional(flag()),
  },
  { description: 'an object', additionalProperties: Type.Unknown() },
);

export const createNetwork = Type.Tuple([
  Type.Object(
    {
      type: optional(text()),
      range: optional(text()),
      gateway: optional(text()),
      netmask_bits: optional(
        Type.Integer({ description: 'an integer from 1 to 128', minimum: 1, maximum: 128 }),
      ),
      cloud_properties: optional(cloudProperties),
    },
    { title: 'subnet_definition', description: 'an object', additionalProperties: Type.Unknown() },
  ),
]);
