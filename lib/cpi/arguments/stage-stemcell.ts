import Type from 'typebox';
import { nullable } from './types.ts';

export const stageStemcell = Type.Tuple([
  nullable(Type.Integer({ title: 'bytes', description: 'a number of bytes', minimum: 0 })),
  nullable(Type.String({ title: 'remove', description: 'the source of a staged image', minLength: 1 })),
]);
