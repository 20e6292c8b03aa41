import Type from 'typebox';
import { cid } from './types.ts';

export const deleteStemcell = Type.Tuple([cid('stemcell_cid')]);
