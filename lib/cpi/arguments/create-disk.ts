import Type from 'typebox';
import { cid, mebibytes, nullable, optional, text } from './types.ts';

export const createDisk = Type.Tuple([
  mebibytes('size', 'Disk size needs to be an integer'),
  Type.Object(
    { type: optional(text()) },
    { title: 'cloud_properties', description: 'an object', additionalProperties: Type.Unknown() },
  ),
  nullable(cid('vm_cid')),
]);
