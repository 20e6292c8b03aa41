import Type from 'typebox';
import { cid, hash } from './types.ts';

export const setDiskMetadata = Type.Tuple([cid('disk_cid'), hash('metadata')]);
