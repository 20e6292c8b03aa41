import Type from 'typebox';
import { nullable } from './types.ts';

export const uploadStemcell = Type.Tuple([
  Type.String({ title: 'stemcell', description: 'a path or a URL', pattern: '^[^\\u0000]+$' }),
  nullable(Type.String({ title: 'light', description: 'a path', pattern: '^[^\\u0000]+$' })),
]);
