import Type from 'typebox';
import { hash, nullable, optional, text } from './types.ts';

const cloudProperties = Type.Object(
  {
    name: optional(text()),
    version: optional(Type.Union([Type.String(), Type.Number()], { description: 'a string' })),
    disk_format: optional(text()),
    container_format: optional(text()),
    image_id: optional(text()),
    image_location: optional(text()),
    kernel_file: optional(text()),
    ramdisk_file: optional(text()),
    kernel_id: optional(text()),
    ramdisk_id: optional(text()),
    hypervisor: optional(text()),
    tags: optional(hash('tags')),
  },
  { title: 'cloud_properties', description: 'an object', additionalProperties: Type.Unknown() },
);

export const createStemcell = Type.Tuple([
  Type.String({ title: 'image_path', description: 'a path', pattern: '^[^\\u0000]*$' }),
  cloudProperties,
  nullable(
    Type.Object(
      { tags: optional(hash('tags')) },
      { title: 'env', description: 'an object', additionalProperties: Type.Unknown() },
    ),
  ),
]);
