import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { createNetwork, networkMade } from '#lib/network/create-network.ts';
import { parseSubnetDefinition } from '#lib/network/subnet-definition.ts';

/** Creates a managed network with its subnet. */
export const handler = cpiFunction(
  'create_network',
  ([definition], context) => createNetwork(parseSubnetDefinition(definition), context),
  ([definition], context) => networkMade(parseSubnetDefinition(definition), context),
);
