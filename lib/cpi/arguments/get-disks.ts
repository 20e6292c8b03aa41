import Type from 'typebox';
import { cid } from './types.ts';

export const getDisks = Type.Tuple([cid('vm_cid')]);
