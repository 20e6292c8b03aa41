import Type from 'typebox';
import { cid } from './types.ts';

export const deleteSnapshot = Type.Tuple([cid('snapshot_cid')]);
