import Type from 'typebox';
import { stemcellCid } from './types.ts';

export const deleteStemcell = Type.Tuple([stemcellCid()]);
