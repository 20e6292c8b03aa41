import Type from 'typebox';
import { cid, hash } from './types.ts';

export const setVmMetadata = Type.Tuple([cid('vm_cid'), hash('metadata')]);
