import Type from 'typebox';
import { cid } from './types.ts';

export const deleteVm = Type.Tuple([cid('vm_cid')]);
