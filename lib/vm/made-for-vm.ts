import type { CallContext } from '../cpi/call-context.ts';
import { type Made, unconfirmed } from '../cpi/clean-up.ts';
import { isMembership, leavePools, type Membership, membershipsOf } from '../network/load-balancer.ts';
import type { PortRequest } from '../openstack/neutron/ports.ts';
import type { Server } from '../openstack/nova/servers.ts';
import type { MemberRequest } from '../openstack/octavia/pools.ts';
import { lookTwice } from '../openstack/send-once.ts';
import type { VmPlan } from './vm-plan.ts';

/** Remembers the places in load balancer pools, which carry no mark of the call. */
const MEMBERSHIPS = 'memberships';

/**
 * What create_vm has made so far, in the order in which it is taken back. Where earlier attempts may have made something, or the
 * call is cancelled, that goes by its mark.
 */
export class MadeForVm {
  readonly #plan: VmPlan;
  readonly #context: CallContext;
  memberships: Made[] = [];
  server: Made | undefined;
  ports: Made[] = [];
  settings: Made | undefined;
  #isAnothers = false;

  constructor(plan: VmPlan, context: CallContext) {
    this.#plan = plan;
    this.#context = context;
    if (context.attempt > 1 || context.request.invocation?.isCancelled) {
      this.#expectEarlier();
    }
  }

  /** All of it: memberships one by one, the server, its ports, its settings. */
  stages(): Made[][] {
    if (this.#isAnothers) {
      return [];
    }
    return [...this.serverStages(), this.ports, this.settings ? [this.settings] : []];
  }

  /** What goes when another zone is tried. */
  serverStages(): Made[][] {
    if (this.#isAnothers) {
      return [];
    }
    return [...this.memberships.map((one) => [one]), this.server ? [this.server] : []];
  }

  /** The server that is about to be asked for: should its id never be known, its name is. */
  expectServer(): void {
    this.#isAnothers = false;
    const { servers } = this.#context.openstack;
    this.#expectServerOf(() => servers.adopt(this.#plan.name));
  }

  addServer(id: string): void {
    const { servers } = this.#context.openstack;
    this.server = { id, remove: () => servers.deleteAndWait(id) };
  }

  /** A port whose creation was never confirmed. */
  expectPort(request: PortRequest): void {
    const { ports } = this.#context.openstack;
    this.ports.push(
      unconfirmed(
        `port of ${request.name} in network ${request.network_id}`,
        () => ports.adopt(request),
        ({ id }) => ports.delete(id),
      ),
    );
  }

  addPort(id: string): void {
    const { ports } = this.#context.openstack;
    this.ports.push({ id, remove: () => ports.delete(id) });
  }

  addMembership(membership: Membership): void {
    const { lap } = this.#context;
    const others = this.#remembered().filter(({ memberId }) => memberId !== membership.memberId);
    lap.remember(MEMBERSHIPS, [...others, membership]);
    const id = `member ${membership.memberId} of pool ${membership.poolId}`;
    this.memberships.push({ id, remove: () => this.#leave([membership]) });
  }

  /** A place in a pool that was never confirmed. */
  expectMembership(poolId: string, member: MemberRequest): void {
    const { pools } = this.#context.openstack;
    this.memberships.push(
      unconfirmed(
        `member ${member.address}:${member.protocol_port} of pool ${poolId}`,
        () => pools.findMember(poolId, member),
        ({ id }) => this.#leave([{ poolId, memberId: id }]),
      ),
    );
  }

  addSettings(): void {
    const { name, registry } = this.#plan;
    this.settings = { id: `registry settings of ${name}`, remove: () => registry.delete(name) };
  }

  /** When another zone is tried, whose server has nothing yet. */
  forgetServer(): void {
    this.#context.lap.remember(MEMBERSHIPS, []);
    this.memberships = [];
    this.server = undefined;
  }

  /** When everything, and whatever is added to it, turns out to be another's, who takes it back if need be. */
  forgetAll(): void {
    this.#isAnothers = true;
    this.forgetServer();
    this.ports = [];
    this.settings = undefined;
  }

  /** Whatever any attempt of the call has made. */
  #expectEarlier(): void {
    const { openstack, patience } = this.#context;
    const { name, pools, registry } = this.#plan;
    this.#expectServerOf(() => lookTwice(() => openstack.servers.adopt(name), patience));
    this.ports.push({
      id: `ports of ${name}`,
      remove: async () => {
        const found = await this.#portsByName();
        await Promise.all(found.map((port) => openstack.ports.delete(port.id)));
      },
    });
    if (pools.length > 0) {
      this.memberships.push({ id: `pool members of ${name}`, remove: () => this.#leaveEarlier() });
    }
    if (registry.isUsed) {
      this.addSettings();
    }
  }

  #expectServerOf(find: () => Promise<Server | undefined>): void {
    const { servers } = this.#context.openstack;
    this.server = unconfirmed(this.#plan.name, find, ({ id }) => servers.deleteAndWait(id));
  }

  async #leaveEarlier(): Promise<void> {
    const { openstack, log } = this.#context;
    const server = await openstack.servers.adopt(this.#plan.name);
    const known = [...this.#remembered(), ...membershipsOf(server?.metadata ?? {}, log)];
    const found = server ? await this.#membershipsByAddress(server) : [];
    const all = new Map([...known, ...found].map((one) => [`${one.poolId}/${one.memberId}`, one]));
    await this.#leave([...all.values()]);
  }

  /** No other VM can have the address, in its subnet, of one that is there. */
  async #membershipsByAddress({ id }: Server): Promise<Membership[]> {
    const { openstack } = this.#context;
    const ports = await openstack.ports.list({ deviceId: id });
    const addresses = ports.flatMap(({ fixed_ips }) => fixed_ips);
    const searches = this.#plan.pools.flatMap((spec) =>
      addresses.map(async ({ ip_address: address, subnet_id }) => {
        const pools = await openstack.pools.listByName(spec.name);
        const members = await Promise.all(
          pools.map(async (pool) => ({
            pool,
            members: await openstack.pools.listMembers(pool.id, { address, protocol_port: spec.port }),
          })),
        );
        return members.flatMap(({ pool, members: those }) =>
          those
            .filter((member) => member.subnet_id === subnet_id)
            .map((member) => ({ poolId: pool.id, memberId: member.id })),
        );
      }),
    );
    return (await Promise.all(searches)).flat();
  }

  async #portsByName() {
    const { openstack, patience } = this.#context;
    const { name } = this.#plan;
    if (!(await openstack.session.hasService('network'))) {
      return [];
    }
    const found = await lookTwice(async () => {
      const ports = (await openstack.ports.list({ name })).filter((port) => port.name === name);
      return ports.length > 0 ? ports : undefined;
    }, patience);
    return found ?? [];
  }

  #remembered(): Membership[] {
    const remembered = this.#context.lap.recall(MEMBERSHIPS);
    return Array.isArray(remembered) ? remembered.filter(isMembership) : [];
  }

  async #leave(memberships: Membership[]): Promise<void> {
    const { openstack, log } = this.#context;
    const [error] = await leavePools(memberships, openstack, log);
    if (error) {
      throw error;
    }
  }
}
