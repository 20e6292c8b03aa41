import Type from 'typebox';
import { cid } from './types.ts';

export const detachDisk = Type.Tuple([cid('vm_cid'), cid('disk_cid')]);
