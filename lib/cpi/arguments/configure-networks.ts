import Type from 'typebox';
import { cid } from './types.ts';

export const configureNetworks = Type.Tuple([
  cid('vm_cid'),
  Type.Unknown({ title: 'networks', description: 'an object' }),
]);
