import Type from 'typebox';
import { cid } from './types.ts';

export const deleteNetwork = Type.Tuple([cid('network_cid')]);
