import type { Activity } from '../../lap/lap.ts';
import { ConflictError, OpenStackError, WaitTimeoutError } from '../errors.ts';
import { sendOnce } from '../send-once.ts';
import { path, type ServiceClient } from '../service-client.ts';
import type { Patience } from '../wait-for.ts';
import type { LoadBalancers } from './load-balancers.ts';

export interface Pool {
  id: string;
  name: string;
  /** Absent or empty on some clouds; then the listener knows. */
  loadbalancers?: { id: string }[];
  listeners?: { id: string }[];
}

export interface Member {
  id: string;
  address: string;
  protocol_port: number;
  subnet_id: string | null;
}

export interface MemberRequest {
  address: string;
  protocol_port: number;
  subnet_id: string;
  monitor_port?: number;
}

/** Octavia's wording, and that of Neutron's load balancers before it. */
const IMMUTABLE = /immutable|PENDING_UPDATE/i;

/** https://docs.openstack.org/api-ref/load-balancer/v2/#pools */
export class Pools {
  readonly #octavia: ServiceClient;
  readonly #loadBalancers: LoadBalancers;
  readonly #patience: Patience;

  constructor(octavia: ServiceClient, loadBalancers: LoadBalancers, patience: Patience) {
    this.#octavia = octavia;
    this.#loadBalancers = loadBalancers;
    this.#patience = patience;
  }

  async listByName(name: string): Promise<Pool[]> {
    return (await this.#octavia.get<{ pools: Pool[] }>('/lbaas/pools', { query: { name } })).pools;
  }

  async find(id: string): Promise<Pool | undefined> {
    return (await this.#octavia.find<{ pool: Pool }>(path`/lbaas/pools/${id}`))?.pool;
  }

  /** A pool has no two members with the same address, port and subnet. */
  async findMember(poolId: string, member: MemberRequest): Promise<Member | undefined> {
    const members = await this.listMembers(poolId, member);
    return members.find(({ subnet_id }) => subnet_id === member.subnet_id);
  }

  async listMembers(
    poolId: string,
    { address, protocol_port }: Pick<Member, 'address' | 'protocol_port'>,
  ): Promise<Member[]> {
    const { members } = await this.#octavia.get<{ members: Member[] }>(path`/lbaas/pools/${poolId}/members`, {
      query: { address, protocol_port },
    });
    return members.filter((one) => one.address === address && one.protocol_port === protocol_port);
  }

  /**
   * Adds a member, patiently while the load balancer is changing.
   * @throws {ConflictError} when such a member exists
   */
  async addMember(poolId: string, loadBalancerId: string, member: MemberRequest): Promise<Member> {
    return this.#whenMutable(loadBalancerId, () =>
      sendOnce(
        {
          what: `member ${member.address}:${member.protocol_port} of pool ${poolId} to be created`,
          send: async () => {
            const answer = await this.#octavia.post<{ member: Member }>(
              path`/lbaas/pools/${poolId}/members`,
              { member },
            );
            return answer.member;
          },
          effect: () => this.findMember(poolId, member),
        },
        this.#patience,
      ),
    );
  }

  /** Removes a member that may be gone already, patiently while the load balancer is changing. */
  async removeMember(poolId: string, loadBalancerId: string, memberId: string): Promise<void> {
    await this.#whenMutable(loadBalancerId, () =>
      this.#octavia.delete(path`/lbaas/pools/${poolId}/members/${memberId}`),
    );
  }

  async #whenMutable<T>(loadBalancerId: string, change: () => Promise<T>): Promise<T> {
    const { activity, done } = this.#patience.lap.begin(`load balancer ${loadBalancerId} to be changed`);
    try {
      return await this.#changed(activity, loadBalancerId, change);
    } finally {
      done();
    }
  }

  async #changed<T>(activity: Activity, loadBalancerId: string, change: () => Promise<T>): Promise<T> {
    const endsAt = Math.min(activity.since + this.#patience.timeoutMs, this.#patience.lap.waitsEndAt);
    for (;;) {
      activity.times += 1;
      try {
        return await change();
      } catch (error) {
        if (!(error instanceof ConflictError && IMMUTABLE.test(error.reason))) {
          throw error;
        }
        const giveUp = () => new ImmutableError(Date.now() - activity.since, activity.times, error);
        if (Date.now() >= endsAt) {
          throw giveUp();
        }
        await this.#loadBalancers.waitUntilActive(loadBalancerId).catch((failure) => {
          throw failure instanceof WaitTimeoutError ? giveUp() : failure;
        });
      }
    }
  }
}

/** A load balancer was changing for too long. */
class ImmutableError extends OpenStackError {
  override readonly name = 'ImmutableError';

  constructor(elapsedMs: number, attempts: number, cause: ConflictError) {
    const seconds = Math.round(elapsedMs / 1000);
    super(`Failed after ${seconds}s with ${attempts} attempts with '${cause.described}'`, { cause });
  }
}
