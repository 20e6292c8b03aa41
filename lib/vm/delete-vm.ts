import type { CallContext } from '../cpi/call-context.ts';
import { CloudError } from '../cpi/errors.ts';
import { leavePools, membershipsOf } from '../network/load-balancer.ts';
import { OpenStackError } from '../openstack/errors.ts';
import type { Server } from '../openstack/nova/servers.ts';
import { registryFor, registryKey } from './registry-entry.ts';

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
  const { servers, session } = context.openstack;
  const [server, portIds] = await Promise.all([
    servers.find(vmCid),
    session.hasService('network').then((isThere) => (isThere ? portsOf(vmCid, context) : [])),
  ]);
  const failures: StepFailure[] = [];
  if (server) {
    failures.push(...(await leaveAllPools(server, context)));
    const undeleted = await failureOf('', () => servers.delete(vmCid));
    if (undeleted.length > 0) {
      throw summary([...failures, ...undeleted]);
    }
    failures.push(...(await failureOf('Wait for server deletion', () => servers.waitUntilGone(vmCid))));
  } else {
    context.log.info(`Server '${vmCid}' not found, deleting what may be left of it`);
  }
  failures.push(...(await deletePorts(portIds, context)));
  if (server) {
    const registry = registryFor(context, { isRequired: false });
    failures.push(
      ...(await failureOf('Deleting registry settings', () => registry.delete(registryKey(server)))),
    );
  }
  if (failures.length > 0) {
    throw summary(failures);
  }
}

async function portsOf(vmCid: string, { openstack }: CallContext): Promise<string[]> {
  return (await openstack.ports.list({ deviceId: vmCid })).map(({ id }) => id);
}

/** Before the server goes, so that its traffic does. */
async function leaveAllPools(server: Server, { openstack, log }: CallContext): Promise<StepFailure[]> {
  const errors = await leavePools(membershipsOf(server.metadata, log), openstack, log);
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
