import Type from 'typebox';
import { cid } from './types.ts';

export const deleteDisk = Type.Tuple([cid('disk_cid')]);
