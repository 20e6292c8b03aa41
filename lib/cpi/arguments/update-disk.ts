import Type from 'typebox';
import { cid, mebibytes, optional, text } from './types.ts';

export const updateDisk = Type.Tuple([
  cid('disk_cid'),
  mebibytes('new_size', 'Disk size needs to be an integer'),
  Type.Object(
    {
      type: optional(text()),
      migration_policy: optional(
        Type.Union([Type.Literal('never'), Type.Literal('on-demand')], {
          description: "'never' or 'on-demand'",
        }),
      ),
    },
    { title: 'cloud_properties', description: 'an object', additionalProperties: Type.Unknown() },
  ),
]);
