import Type from 'typebox';
import { cid } from './types.ts';

export const rebootVm = Type.Tuple([cid('vm_cid')]);
