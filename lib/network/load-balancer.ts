import { CloudError, VMCreationFailed } from '../cpi/errors.ts';
import { POOL_KEY_PREFIX } from '../cpi/metadata.ts';
import { isRecord } from '../json.ts';
import type { Logger } from '../log/logger.ts';
import {
  ConflictError,
  EndpointNotFoundError,
  HttpError,
  isAmbiguous,
  NotFoundError,
  ResourceFailedError,
} from '../openstack/errors.ts';
import type { Member, MemberRequest, Pool } from '../openstack/octavia/pools.ts';
import type { OpenStack } from '../openstack/openstack.ts';

/** A pool as create_vm's cloud properties name it. */
export interface PoolSpec {
  name: string;
  port: number;
  monitoringPort: number | undefined;
}

/** A VM's place in a pool. */
export interface Membership {
  poolId: string;
  memberId: string;
}

export function isMembership(value: unknown): value is Membership {
  return isRecord(value) && typeof value.poolId === 'string' && typeof value.memberId === 'string';
}

/** Why a pool's load balancer is not known. */
export class LoadBalancerUnknown extends Error {
  readonly isAmbiguous: boolean;

  constructor(message: string, isAmbiguous: boolean) {
    super(message);
    this.isAmbiguous = isAmbiguous;
  }
}

/** @throws {VMCreationFailed} when there is not exactly one pool of that name */
export async function findPool(name: string, { pools }: OpenStack): Promise<Pool> {
  const found = await pools.listByName(name).catch((error: unknown) => {
    if (error instanceof EndpointNotFoundError || error instanceof NotFoundError) {
      throw new VMCreationFailed('No load balancer service found in the OpenStack catalog', {
        okToRetry: false,
        cause: error,
      });
    }
    throw error;
  });
  const [pool] = found;
  if (!pool) {
    throw new VMCreationFailed(`Load balancer pool '${name}' does not exist`, { okToRetry: false });
  }
  if (found.length > 1) {
    throw new VMCreationFailed(
      `Load balancer pool '${name}' exists multiple times. Make sure to use unique naming.`,
      { okToRetry: false },
    );
  }
  return pool;
}

/**
 * Makes a VM a member of a pool, and waits until the load balancer has taken it.
 * @param on is told of the member as soon as it exists, or when nobody knows whether it does
 */
export async function joinPool(
  pool: Pool,
  member: MemberRequest,
  openstack: OpenStack,
  on: { member: (membership: Membership) => void; unconfirmed: () => void },
): Promise<void> {
  const loadBalancerId = await loadBalancerOf(pool, openstack);
  await openstack.loadBalancers.waitUntilActive(loadBalancerId);
  const { id } = await addMember(pool.id, loadBalancerId, member, openstack).catch((error: unknown) => {
    if (error instanceof CloudError && isAmbiguous(error.cause)) {
      on.unconfirmed();
    }
    throw error;
  });
  on.member({ poolId: pool.id, memberId: id });
  await openstack.loadBalancers.waitUntilActive(loadBalancerId);
}

/** Takes a VM out of pools: those of one load balancer one after the other, different load balancers at the same time. */
export async function leavePools(
  memberships: Membership[],
  openstack: OpenStack,
  log: Logger,
): Promise<unknown[]> {
  const errors: unknown[] = [];
  const failed = (membership: Membership) => (error: unknown) => {
    errors.push(removalFailed(membership, error));
  };
  const located = await Promise.all(
    memberships.map(async (membership) => ({
      membership,
      loadBalancerId: await locate(membership, openstack, log).catch(failed(membership)),
    })),
  );
  const groups = Map.groupBy(located, ({ loadBalancerId }) => loadBalancerId);
  await Promise.all(
    [...groups].map(async ([loadBalancerId, members]) => {
      for (const { membership } of loadBalancerId === undefined ? [] : members) {
        await removeMember(membership, loadBalancerId ?? '', openstack).catch(failed(membership));
      }
    }),
  );
  return errors;
}

/** A VM's memberships, as its metadata remembers them. */
export function membershipsOf(metadata: Record<string, string>, log: Logger): Membership[] {
  return Object.entries(metadata)
    .filter(([key]) => key.startsWith(POOL_KEY_PREFIX))
    .flatMap(([key, value]) => {
      const [poolId, memberId, ...rest] = value.split('/');
      if (!poolId || !memberId || rest.length > 0) {
        log.warn(`metadata ${key} is no pool membership, skipped`);
        return [];
      }
      return [{ poolId, memberId }];
    });
}

/** What a VM's metadata remembers of its memberships, so that delete_vm finds them. */
export function membershipMetadata(memberships: Membership[]): Record<string, string> {
  return Object.fromEntries(
    memberships.map(({ poolId, memberId }, index) => [
      `${POOL_KEY_PREFIX}${index + 1}`,
      `${poolId}/${memberId}`,
    ]),
  );
}

async function addMember(
  poolId: string,
  loadBalancerId: string,
  member: MemberRequest,
  { pools }: OpenStack,
): Promise<Member> {
  try {
    return await pools.addMember(poolId, loadBalancerId, member);
  } catch (error) {
    const present = error instanceof ConflictError ? await pools.findMember(poolId, member) : undefined;
    if (present) {
      return present;
    }
    if (error instanceof ConflictError) {
      throw new CloudError(
        `Load balancer pool membership with pool id '${poolId}', ip '${member.address}', and port ` +
          `'${member.protocol_port}' supposedly exists, but cannot be found.`,
        { cause: error },
      );
    }
    throw new CloudError(
      `Creating load balancer pool membership with pool_id '${poolId}' and membership_id '' failed. ` +
        `Reason: ${reasonOf(error)}`,
      { cause: error },
    );
  }
}

/** @returns the load balancer that a membership's pool hangs on; undefined when there is nothing to leave any more */
async function locate(
  { poolId }: Membership,
  openstack: OpenStack,
  log: Logger,
): Promise<string | undefined> {
  const pool = await openstack.pools.find(poolId);
  if (!pool) {
    return undefined;
  }
  try {
    return await loadBalancerOf(pool, openstack);
  } catch (error) {
    if (error instanceof LoadBalancerUnknown && !error.isAmbiguous) {
      log.debug(`${error.message}, nothing to leave`);
      return undefined;
    }
    throw error;
  }
}

async function removeMember(
  { poolId, memberId }: Membership,
  loadBalancerId: string,
  { pools, loadBalancers }: OpenStack,
): Promise<void> {
  try {
    await loadBalancers.waitUntilActive(loadBalancerId);
    await pools.removeMember(poolId, loadBalancerId, memberId);
    await loadBalancers.waitUntilActive(loadBalancerId);
  } catch (error) {
    const isLoadBalancerGone = error instanceof ResourceFailedError && error.state === undefined;
    if (!isLoadBalancerGone) {
      throw error;
    }
  }
}

async function loadBalancerOf(pool: Pool, { loadBalancers }: OpenStack): Promise<string> {
  const direct = pool.loadbalancers ?? [];
  if (direct.length > 0) {
    return theOnly('load balancer', pool, direct);
  }
  const listenerId = theOnly('listener', pool, pool.listeners ?? []);
  const listener = await loadBalancers.findListener(listenerId);
  return theOnly('load balancer', pool, listener?.loadbalancers ?? []);
}

function theOnly(kind: 'listener' | 'load balancer', pool: Pool, found: { id: string }[]): string {
  const [one] = found;
  if (!one) {
    throw new LoadBalancerUnknown(`No ${kind}s associated with load balancer pool '${pool.id}'`, false);
  }
  if (found.length > 1) {
    throw new LoadBalancerUnknown(
      `More than one ${kind} is associated with load balancer pool '${pool.id}'. It is not possible to verify the ` +
        'status of the load balancer responsible for the pool membership.',
      true,
    );
  }
  return one.id;
}

function removalFailed({ poolId, memberId }: Membership, error: unknown): CloudError {
  return new CloudError(
    `Deleting load balancer pool membership with pool_id '${poolId}' and membership_id '${memberId}' failed. ` +
      `Reason: ${reasonOf(error)}`,
    { cause: error },
  );
}

function reasonOf(error: unknown): string {
  if (error instanceof HttpError) {
    return error.described;
  }
  return error instanceof Error ? error.message : String(error);
}
