import type { CallContext } from '../cpi/call-context.ts';
import { CloudError } from '../cpi/errors.ts';
import { isRecord } from '../json.ts';
import { isMembership, leavePools, type Membership, membershipsOf } from '../network/load-balancer.ts';
import { OpenStackError } from '../openstack/errors.ts';
import type { Port, PortFilter } from '../openstack/neutron/ports.ts';
import { isBeingDeleted, isGone, type Server } from '../openstack/nova/servers.ts';
import { registryFor, registryKey } from './registry-entry.ts';
import { isCreatedName } from './server-name.ts';

/** What has to go with a server, and cannot be found once it is gone. */
interface Leftovers {
  memberships: Membership[];
  portIds: string[];
  registryKey: string | undefined;
}

/** Remembers them. */
const LEFTOVERS = 'leftovers';
const CLOCK_TOLERANCE_MS = 60_000;

/** What went wrong in one step; the other steps were taken all the same. */
interface StepFailure {
  prefix: string;
  error: unknown;
}

/**
 * Deletes a server and everything that create_vm made for it. A step that fails does not keep the others from being taken.
 * @throws {CloudError} that tells of all failures
 */
export async function deleteVm(vmCid: string, context: CallContext): Promise<void> {
  const { servers } = context.openstack;
  const [server, bound] = await Promise.all([servers.find(vmCid), portsOf({ deviceId: vmCid }, context)]);
  // Nova takes its id off the ports before the server is gone: what an earlier attempt saw counts as well.
  const earlier = recalled(context) ?? (await leftBehind(vmCid, server, context));
  const leftovers: Leftovers = {
    memberships: server ? membershipsOf(server.metadata, context.log) : (earlier?.memberships ?? []),
    portIds: [...new Set([...bound.map(({ id }) => id), ...(earlier?.portIds ?? [])])],
    registryKey: server ? registryKey(server) : earlier?.registryKey,
  };
  context.lap.remember(LEFTOVERS, leftovers);
  // Before the server goes, so that its traffic does.
  const failures: StepFailure[] = await leaveAllPools(leftovers, context);
  if (server) {
    const undeleted = await failureOf('', () => servers.delete(vmCid));
    if (undeleted.length > 0) {
      throw summary([...failures, ...undeleted]);
    }
    failures.push(...(await failureOf('Wait for server deletion', () => servers.waitUntilGone(vmCid))));
  } else {
    context.log.info(`Server '${vmCid}' not found, deleting what may be left of it`);
  }
  failures.push(...(await deletePorts(leftovers.portIds, context)));
  const key = leftovers.registryKey;
  if (key !== undefined) {
    const registry = registryFor(context, { isRequired: false });
    failures.push(...(await failureOf('Deleting registry settings', () => registry.delete(key))));
  }
  if (failures.length > 0) {
    throw summary(failures);
  }
}

async function portsOf(filter: PortFilter, { openstack }: CallContext): Promise<Port[]> {
  return (await openstack.session.hasService('network')) ? openstack.ports.list(filter) : [];
}

function recalled({ lap }: CallContext): Leftovers | undefined {
  const fact = lap.recall(LEFTOVERS);
  if (!isRecord(fact)) {
    return undefined;
  }
  const { memberships, portIds, registryKey: key } = fact;
  return {
    memberships: Array.isArray(memberships) ? memberships.filter(isMembership) : [],
    portIds: Array.isArray(portIds) ? portIds.filter((id) => typeof id === 'string') : [],
    registryKey: typeof key === 'string' ? key : undefined,
  };
}

/**
 * What an earlier attempt, of which nothing else is known, has left of a server that is gone or going: Nova still tells its
 * name, under which create_vm made its ports. Nova has taken the server's id off them.
 */
async function leftBehind(
  vmCid: string,
  server: Server | undefined,
  context: CallContext,
): Promise<Leftovers | undefined> {
  const isStaying = server && !isBeingDeleted(server) && !isGone(server);
  if (context.attempt === 1 || isStaying) {
    return undefined;
  }
  const name = server ? registryKey(server) : await deletedName(vmCid, context);
  if (name === undefined || !isCreatedName(name)) {
    return undefined;
  }
  const ports = await portsOf({ name }, context);
  const unbound = ports.filter((port) => port.name === name && port.device_id === '');
  return { memberships: [], portIds: unbound.map(({ id }) => id), registryKey: name };
}

async function deletedName(
  vmCid: string,
  { elapsedMs, openstack }: CallContext,
): Promise<string | undefined> {
  const since = new Date(Date.now() - elapsedMs - CLOCK_TOLERANCE_MS);
  return (await openstack.servers.findDeleted(vmCid, since))?.name;
}

async function leaveAllPools(
  { memberships }: Leftovers,
  { openstack, log }: CallContext,
): Promise<StepFailure[]> {
  const errors = await leavePools(memberships, openstack, log);
  return errors.map((error) => ({ prefix: 'Removing lbaas pool memberships', error }));
}

async function deletePorts(ids: string[], { openstack }: CallContext): Promise<StepFailure[]> {
  const outcomes = await Promise.all(
    ids.map((id) => failureOf('Removing ports', () => explained(id, openstack.ports.delete(id)))),
  );
  return outcomes.flat();
}

/** Once the server is gone, nothing but the error tells which port is left. */
async function explained(portId: string, deletion: Promise<void>): Promise<void> {
  try {
    await deletion;
  } catch (error) {
    if (error instanceof OpenStackError && !error.message.includes(portId)) {
      throw new OpenStackError(`${error.message} (port ${portId})`, { cause: error });
    }
    throw error;
  }
}

async function failureOf(prefix: string, step: () => Promise<unknown>): Promise<StepFailure[]> {
  try {
    await step();
    return [];
  } catch (error) {
    return [{ prefix, error }];
  }
}

function summary(failures: StepFailure[]): CloudError {
  const lines = failures.map(({ prefix, error }) => {
    const text = error instanceof Error ? error.message : String(error);
    return prefix ? `${prefix}: ${text}` : text;
  });
  const message = lines.length === 1 ? `${lines[0]}` : `Multiple cloud errors occurred:\n${lines.join('\n')}`;
  return new CloudError(message, { cause: failures[0]?.error });
}
