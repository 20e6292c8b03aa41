import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow, type Made, unconfirmed } from '../cpi/clean-up.ts';
import { theOneThatCounts } from '../cpi/delivered-twice.ts';
import { madeEarlier } from '../cpi/made-earlier.ts';
import type { ResultOf } from '../cpi/methods.ts';
import { isAmbiguous } from '../openstack/errors.ts';
import type { Subnet, SubnetRequest } from '../openstack/neutron/subnets.ts';
import { lookTwice } from '../openstack/send-once.ts';
import { deleteNetwork } from './delete-network.ts';
import { reservedPool, type SubnetDefinition } from './subnet-definition.ts';

/** Cloud properties that describe the network itself; the others go back to the Director. */
const OWN_PROPERTIES = new Set([
  'name',
  'router_id',
  'subnetpool_id',
  'enable_dhcp',
  'mtu',
  'description',
  'shared',
]);

/** Creates a network with one subnet, connected to a router where one is named. */
export async function createNetwork(
  definition: SubnetDefinition,
  context: CallContext,
): Promise<ResultOf['create_network']> {
  const { openstack } = context;
  const { id } = await findOrCreateNetwork(definition, context);
  let made: Made[] = [{ id, remove: () => openstack.networks.delete(id) }];
  try {
    const makeWay = () => openstack.networks.makeWay(id, markOf(definition, context));
    const networkId = await theOneThatCounts(id, makeWay, context);
    const isOwn = networkId === id;
    if (!isOwn) {
      // Another's, who takes it back if need be.
      made = [];
    }
    const subnet = await findOrCreateSubnet(networkId, definition, context);
    const routerId = definition.properties.router_id;
    if (routerId && isOwn) {
      made.unshift({
        id: `router interface of ${subnet.id}`,
        remove: () => openstack.routers.removeInterface(routerId, { subnet_id: subnet.id }),
      });
    }
    if (routerId) {
      await openstack.routers.addInterface(routerId, networkId, subnet.id);
    }
    const reserved = await reservedAddresses(networkId, definition, context);
    return [
      networkId,
      { range: subnet.cidr, gateway: subnet.gateway_ip ?? '', reserved },
      { ...returnedProperties(definition.properties), net_id: networkId },
    ];
  } catch (error) {
    return cleanUpAndThrow(
      error,
      made.map((one) => [one]),
      context,
    );
  }
}

/** The network that any attempt of the call has made, with its subnet. */
export function networkMade(definition: SubnetDefinition, context: CallContext): Made[][] {
  const { openstack, patience } = context;
  const description = markOf(definition, context);
  const network = unconfirmed(
    nameOf(definition, context),
    () => lookTwice(() => openstack.networks.adopt(description), patience),
    ({ id }) => deleteNetwork(id, openstack),
  );
  return [[network]];
}

/** A repeated call looks for what an earlier attempt made; it goes by the description. */
function markOf({ properties }: SubnetDefinition, { invocationId }: CallContext): string {
  const mark = `bosh-cpi ${invocationId}`;
  return properties.description ? `${properties.description} (${mark})` : mark;
}

function nameOf({ properties }: SubnetDefinition, { invocationId }: CallContext): string {
  return properties.name || `bosh-${invocationId}`;
}

async function findOrCreateNetwork(
  definition: SubnetDefinition,
  context: CallContext,
): Promise<{ id: string }> {
  const { networks } = context.openstack;
  const description = markOf(definition, context);
  const adopt = () => networks.adopt(description);
  const earlier = await madeEarlier(adopt, context);
  if (earlier) {
    return earlier;
  }
  const passedOn = Object.entries(definition.properties).filter(
    ([key, value]) => value !== null && (key === 'mtu' || key === 'shared' || key.startsWith('provider:')),
  );
  const request = {
    name: nameOf(definition, context),
    description,
    ...Object.fromEntries(passedOn),
  };
  return networks.create(request).catch((error) => {
    const late = unconfirmed(request.name, adopt, ({ id }) => networks.delete(id));
    return cleanUpAndThrow(error, isAmbiguous(error) ? [[late]] : [], context);
  });
}

async function findOrCreateSubnet(
  networkId: string,
  definition: SubnetDefinition,
  context: CallContext,
): Promise<Subnet> {
  const { subnets } = context.openstack;
  const request = subnetRequest(networkId, definition, context);
  const adopt = () => subnets.adopt(request.description);
  const earlier = await madeEarlier(adopt, context);
  return (
    earlier ??
    subnets.create(request).catch(async (error) => {
      // Neutron refuses the same range twice in a network.
      const other = context.mayBeDeliveredTwice ? await adopt() : undefined;
      return other ?? Promise.reject(error);
    })
  );
}

function subnetRequest(networkId: string, definition: SubnetDefinition, context: CallContext): SubnetRequest {
  const { range, gateway, netmaskBits, ipVersion, properties } = definition;
  const pool = range ? reservedPool(range, gateway) : undefined;
  return {
    network_id: networkId,
    name: nameOf(definition, context),
    description: markOf(definition, context),
    ip_version: ipVersion,
    enable_dhcp: properties.enable_dhcp ?? context.cloud.useDhcp,
    ...(range ? { cidr: range } : sizedRange(netmaskBits, properties.subnetpool_id)),
    ...(gateway ? { gateway_ip: gateway } : {}),
    ...(pool ? { allocation_pools: [pool] } : {}),
  };
}

function sizedRange(netmaskBits: number | undefined, subnetpoolId: string | null | undefined) {
  return {
    ...(netmaskBits === undefined ? {} : { prefixlen: netmaskBits }),
    ...(subnetpoolId ? { subnetpool_id: subnetpoolId } : { use_default_subnetpool: true as const }),
  };
}

/** What the Director must not give to VMs. */
async function reservedAddresses(
  networkId: string,
  { range, gateway }: SubnetDefinition,
  { openstack }: CallContext,
): Promise<string[]> {
  const pool = range ? reservedPool(range, gateway) : undefined;
  if (pool) {
    return [`${pool.start}-${pool.end}`];
  }
  const ports = await openstack.ports.list({ networkId });
  return ports.flatMap((port) => port.fixed_ips.map(({ ip_address }) => ip_address));
}

function returnedProperties(properties: SubnetDefinition['properties']): Record<string, unknown> {
  const returned = Object.entries(properties).filter(
    ([key]) => !OWN_PROPERTIES.has(key) && !key.startsWith('provider:'),
  );
  return Object.fromEntries(returned);
}
