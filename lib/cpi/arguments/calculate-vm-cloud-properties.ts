import Type from 'typebox';
import { optional } from './types.ts';

const amount = () => optional(Type.Number({ description: 'a number from 0', minimum: 0 }));

export const calculateVmCloudProperties = Type.Tuple([
  Type.Object(
    { cpu: amount(), ram: amount(), ephemeral_disk_size: amount() },
    { title: 'vm_properties', description: 'an object', additionalProperties: Type.Unknown() },
  ),
]);
