import Type from 'typebox';
import { optional, text } from './types.ts';

export const stemcellUploaded = Type.Tuple([
  Type.Array(
    Type.Object(
      {
        bucket: Type.String({ description: 'a non-empty string', minLength: 1 }),
        key: Type.String({ description: 'a non-empty string', minLength: 1 }),
        event: optional(text()),
      },
      { description: 'an object with bucket and key', additionalProperties: Type.Unknown() },
    ),
    { title: 'objects', description: 'an array of objects' },
  ),
]);
