import Type from 'typebox';
import { cid } from './types.ts';

export const hasDisk = Type.Tuple([cid('disk_cid')]);
