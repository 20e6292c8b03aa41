import type { CallContext } from '../cpi/call-context.ts';
import { VMCreationFailed } from '../cpi/errors.ts';
import { bindFloatingIp } from '../network/floating-ip.ts';
import {
  joinPool,
  LoadBalancerUnknown,
  type Membership,
  membershipMetadata,
  type PoolSpec,
} from '../network/load-balancer.ts';
import { requiredGateway } from '../network/network-plan.ts';
import { isInRange } from '../network/subnet-definition.ts';
import { OpenStackError } from '../openstack/errors.ts';
import type { Port } from '../openstack/neutron/ports.ts';
import type { MemberRequest } from '../openstack/octavia/pools.ts';
import type { FoundResources } from './look-ups.ts';
import type { MadeForVm } from './made-for-vm.ts';
import type { VmPlan } from './vm-plan.ts';

/** Gives a running server its floating IP and its places in load balancer pools. */
export async function connectServer(
  serverId: string,
  plan: VmPlan,
  found: FoundResources,
  ports: ReadonlyMap<string, Port>,
  made: MadeForVm,
  context: CallContext,
): Promise<void> {
  if (!found.floatingIp && plan.pools.length === 0) {
    return;
  }
  const gateway = requiredGateway(plan.networks);
  const port = ports.get(gateway.name) ?? (await novaPort(serverId, gateway.netId, context));
  if (found.floatingIp) {
    if (!port) {
      throw new VMCreationFailed(`Server has no port in network '${gateway.netId ?? ''}'`, {
        okToRetry: true,
      });
    }
    await bindFloatingIp(found.floatingIp, port.id, context.openstack);
  }
  if (plan.pools.length > 0) {
    await joinPools(serverId, plan, found, port, made, context);
  }
}

/** For a dynamic network, the port is Nova's. */
async function novaPort(
  serverId: string,
  networkId: string | undefined,
  { openstack }: CallContext,
): Promise<Port | undefined> {
  const [port] = await openstack.ports.list({
    deviceId: serverId,
    ...(networkId === undefined ? {} : { networkId }),
  });
  return port;
}

async function joinPools(
  serverId: string,
  plan: VmPlan,
  found: FoundResources,
  port: Port | undefined,
  made: MadeForVm,
  context: CallContext,
): Promise<void> {
  const { openstack } = context;
  const memberships: Membership[] = [];
  const added = (membership: Membership) => {
    memberships.push(membership);
    made.addMembership(membership);
  };
  for (const spec of plan.pools) {
    const pool = found.pools.get(spec.name);
    if (pool) {
      await explained(serverId, spec.name, async () => {
        const member = await memberRequest(spec, plan, port, context);
        await joinPool(pool, member, openstack, {
          member: added,
          unconfirmed: () => made.expectMembership(pool.id, member),
        });
      });
    }
  }
  try {
    await openstack.servers.updateMetadata(serverId, membershipMetadata(memberships));
  } catch (error) {
    if (error instanceof OpenStackError) {
      throw new VMCreationFailed(error.message, { okToRetry: true, cause: error });
    }
    throw error;
  }
}

/** Why a VM has no place in a pool, where OpenStack itself did not fail. */
class NoPlaceInPool extends Error {}

async function explained(serverId: string, poolName: string, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    if (error instanceof NoPlaceInPool || error instanceof LoadBalancerUnknown) {
      throw new VMCreationFailed(
        `VM with id '${serverId}' cannot be attached to load balancer pool '${poolName}'. Reason: ${error.message}`,
        { okToRetry: false, cause: error },
      );
    }
    throw error;
  }
}

async function memberRequest(
  spec: PoolSpec,
  { networks }: VmPlan,
  port: Port | undefined,
  context: CallContext,
): Promise<MemberRequest> {
  const gateway = requiredGateway(networks);
  if (gateway.type === 'dynamic' && networks.privateNetworks.length > 1) {
    throw new NoPlaceInPool(
      'Gateway IP address could not be determined. Gateway network is dynamic, but additional private networks exist.',
    );
  }
  const address = gateway.ip ?? port?.fixed_ips[0]?.ip_address;
  if (address === undefined) {
    throw new NoPlaceInPool(`Server has no port in network '${gateway.netId ?? ''}'`);
  }
  const fixed = port?.fixed_ips.find(({ ip_address }) => ip_address === address);
  return {
    address,
    protocol_port: spec.port,
    subnet_id: fixed?.subnet_id ?? (await subnetOf(address, gateway.netId ?? '', context)),
    ...(spec.monitoringPort === undefined ? {} : { monitor_port: spec.monitoringPort }),
  };
}

async function subnetOf(address: string, networkId: string, { openstack }: CallContext): Promise<string> {
  const subnets = await openstack.subnets.listByNetwork(networkId);
  const [subnet, ...others] = subnets.filter(({ cidr }) => isInRange(address, cidr));
  if (!subnet) {
    throw new NoPlaceInPool(
      `Network '${networkId}' does not contain any subnet to match the IP '${address}'`,
    );
  }
  if (others.length > 0) {
    throw new NoPlaceInPool(`In network '${networkId}' more than one subnet CIDRs match the IP '${address}'`);
  }
  return subnet.id;
}
