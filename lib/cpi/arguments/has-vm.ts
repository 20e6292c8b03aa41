import Type from 'typebox';
import { cid } from './types.ts';

export const hasVm = Type.Tuple([cid('vm_cid')]);
