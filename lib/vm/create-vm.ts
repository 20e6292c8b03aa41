import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow, removeAll } from '../cpi/clean-up.ts';
import { theOneThatCounts } from '../cpi/delivered-twice.ts';
import { CloudError, errorOf, VMCreationFailed } from '../cpi/errors.ts';
import { createPort } from '../network/create-port.ts';
import type { PrivateNetwork } from '../network/network-plan.ts';
import { isAmbiguous } from '../openstack/errors.ts';
import type { Port, PortRequest } from '../openstack/neutron/ports.ts';
import { isBeingDeleted, type Server, type ServerRequest } from '../openstack/nova/servers.ts';
import { lookTwice } from '../openstack/send-once.ts';
import { type AgentNetworks, agentNetworks, checkUserDataSize, initialSettings } from './agent-settings.ts';
import { createServer, waitUntilActive } from './boot-server.ts';
import { connectServer } from './connect-server.ts';
import type { FoundResources } from './look-ups.ts';
import { MadeForVm } from './made-for-vm.ts';
import { serverRequest } from './server-request.ts';
import type { VmPlan } from './vm-plan.ts';
import { rememberZones, zonesLeft } from './zones.ts';

export interface CreatedVm {
  serverId: string;
  networks: AgentNetworks;
}

/** Makes ports and server, and connects the server. Whatever fails, nothing remains. */
export async function createVm(
  plan: VmPlan,
  found: FoundResources,
  context: CallContext,
): Promise<CreatedVm> {
  checkUserDataSize(plan, found.flavor, context);
  const made = new MadeForVm(plan, context);
  try {
    const ports = await createPorts(plan, found, made, context);
    const networks = agentNetworks(plan.networkSpecs, ports, context.cloud.useDhcp);
    const request = serverRequest(plan, found, ports, networks, context);
    const complete = async (serverId: string) => {
      await waitUntilActive(serverId, context);
      await connectServer(serverId, plan, found, ports, made, context);
      if (plan.registry.isUsed) {
        await storeSettings(plan, found, networks, made, context);
      }
    };
    const serverId = await createInSomeZone(plan, found, request, made, complete, context);
    return { serverId, networks };
  } catch (error) {
    return cleanUpAndThrow(error, made.stages(), context);
  }
}

/** When a call fails before it has made anything, what an earlier attempt has made goes all the same. */
export async function removeEarlier(error: unknown, plan: VmPlan, context: CallContext): Promise<never> {
  return cleanUpAndThrow(error, new MadeForVm(plan, context).stages(), context);
}

/** One port per manual network, at the same time; all that were made are known even when one fails. */
async function createPorts(
  plan: VmPlan,
  found: FoundResources,
  made: MadeForVm,
  context: CallContext,
): Promise<Map<string, Port>> {
  const manual = found.hasNetworkService
    ? plan.networks.privateNetworks.filter(({ type }) => type === 'manual')
    : [];
  const outcomes = await Promise.allSettled(
    manual.map(async (network) => {
      const port = earlierPort(network, found) ?? (await newPort(network, plan, found, made, context));
      made.addPort(port.id);
      return [network.name, port] as const;
    }),
  );
  const ports = new Map<string, Port>();
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') {
      throw outcome.reason;
    }
    ports.set(...outcome.value);
  }
  return ports;
}

function earlierPort({ netId, ip }: PrivateNetwork, { earlier }: FoundResources): Port | undefined {
  return earlier.ports.find(
    (port) =>
      port.network_id === netId &&
      (ip === undefined || port.fixed_ips.some(({ ip_address }) => ip_address === ip)),
  );
}

function newPort(
  network: PrivateNetwork,
  plan: VmPlan,
  { securityGroups }: FoundResources,
  made: MadeForVm,
  { openstack, log }: CallContext,
): Promise<Port> {
  const isGateway = network === plan.networks.gateway;
  const request: PortRequest = {
    network_id: network.netId ?? '',
    name: plan.name,
    ...(network.ip ? { fixed_ips: [{ ip_address: network.ip }] } : {}),
    ...(securityGroups.length > 0 ? { security_groups: [...securityGroups] } : {}),
    ...(isGateway && plan.addressPairs.length > 0 ? { allowed_address_pairs: plan.addressPairs } : {}),
  };
  return createPort(request, openstack, log).catch((error) => {
    if (isAmbiguous(error)) {
      made.expectPort(request);
    }
    throw error;
  });
}

/** Tries one zone after the other; before the next one, the failed server is gone. The last failure is told. */
async function createInSomeZone(
  plan: VmPlan,
  found: FoundResources,
  request: ServerRequest,
  made: MadeForVm,
  complete: (serverId: string) => Promise<void>,
  context: CallContext,
): Promise<string> {
  const { zones, failure } = zonesLeft(plan, context);
  if (failure) {
    await removeServer(errorOf(failure), made, context);
  }
  let earlier = failure ? undefined : found.earlier.server;
  for (const [index, zone] of zones.entries()) {
    const later = zones.slice(index + 1);
    try {
      if (plan.zones.length > 1) {
        rememberZones([zone, ...later], context);
      }
      const zoned = zone ? { ...request, server: { ...request.server, availability_zone: zone } } : request;
      const createdId = await adoptOrCreate(zoned, earlier, made, context);
      const makeWay = () => context.openstack.servers.makeWay(createdId, plan.name);
      const serverId = await theOneThatCounts(createdId, makeWay, context);
      if (serverId !== createdId) {
        made.forgetAll();
      }
      await complete(serverId);
      return serverId;
    } catch (error) {
      if (later.length === 0) {
        throw error;
      }
      context.log.info(
        `availability zone '${zone}' failed: ${error instanceof Error ? error.message : error}`,
      );
      rememberZones(later, context, error);
      await removeServer(error, made, context);
      earlier = undefined;
    }
  }
  throw new CloudError('No availability zone to create the VM in');
}

/** Before the next zone is tried. @throws what made the zone before it fail, when its server remains */
async function removeServer(error: unknown, made: MadeForVm, context: CallContext): Promise<void> {
  const remaining = await removeAll(made.serverStages(), context);
  if (remaining.length > 0) {
    throw error;
  }
  made.forgetServer();
}

/** A server of an earlier attempt that works is taken over; another one makes way. */
async function adoptOrCreate(
  request: ServerRequest,
  earlier: Server | undefined,
  made: MadeForVm,
  context: CallContext,
): Promise<string> {
  if (earlier) {
    made.addServer(earlier.id);
    if (['BUILD', 'ACTIVE'].includes(earlier.status) && !isBeingDeleted(earlier)) {
      return earlier.id;
    }
    await made.server?.remove();
  }
  made.expectServer();
  try {
    const serverId = await createServer(request, context);
    made.addServer(serverId);
    return serverId;
  } catch (error) {
    const other = context.mayBeDeliveredTwice ? await otherServer(request, context) : undefined;
    if (other === undefined) {
      throw error;
    }
    made.forgetAll();
    return other;
  }
}

/** Where the same attempt runs twice at once: the other one's server, with whose ports Nova refuses ours. */
async function otherServer({ server }: ServerRequest, context: CallContext): Promise<string | undefined> {
  const { openstack, patience } = context;
  const found = await lookTwice(async () => (await openstack.servers.listByName(server.name))[0], patience);
  return found?.id;
}

async function storeSettings(
  plan: VmPlan,
  { flavor }: FoundResources,
  networks: AgentNetworks,
  made: MadeForVm,
  context: CallContext,
): Promise<void> {
  made.addSettings();
  try {
    await plan.registry.update(plan.name, initialSettings(plan, networks, flavor, context.agent));
  } catch (error) {
    throw new VMCreationFailed(error instanceof Error ? error.message : String(error), {
      okToRetry: false,
      cause: error,
    });
  }
}
