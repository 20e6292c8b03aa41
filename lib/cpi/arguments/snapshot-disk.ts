import Type from 'typebox';
import { cid, hash, nullable } from './types.ts';

export const snapshotDisk = Type.Tuple([cid('disk_cid'), nullable(hash('metadata'))]);
