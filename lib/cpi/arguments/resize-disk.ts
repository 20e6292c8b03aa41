import Type from 'typebox';
import { cid, mebibytes } from './types.ts';

export const resizeDisk = Type.Tuple([
  cid('disk_cid'),
  mebibytes('new_size', 'Disk size needs to be an integer'),
]);
