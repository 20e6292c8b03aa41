import type { CallContext } from '../cpi/call-context.ts';
import { type Made, unconfirmed } from '../cpi/clean-up.ts';
import type { PortRequest } from '../openstack/neutron/ports.ts';
import type { VmPlan } from './vm-plan.ts';

/** What create_vm has made so far, in the order in which it is taken back. */
export class MadeForVm {
  readonly #plan: VmPlan;
  readonly #context: CallContext;
  memberships: Made[] = [];
  server: Made | undefined;
  ports: Made[] = [];
  settings: Made | undefined;

  constructor(plan: VmPlan, context: CallContext) {
    this.#plan = plan;
    this.#context = context;
  }

  /** All of it: memberships one by one, the server, its ports, its settings. */
  stages(): Made[][] {
    return [...this.serverStages(), this.ports, this.settings ? [this.settings] : []];
  }

  /** What goes when another zone is tried. */
  serverStages(): Made[][] {
    return [...this.memberships.map((one) => [one]), this.server ? [this.server] : []];
  }

  /** The server that is about to be asked for: should its id never be known, its name is. */
  expectServer(): void {
    const { servers } = this.#context.openstack;
    const { name } = this.#plan;
    this.server = unconfirmed(
      name,
      () => servers.adopt(name),
      ({ id }) => servers.deleteAndWait(id),
    );
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

  /** Whatever an earlier attempt of the call has made. */
  expectEarlier(): void {
    const { ports } = this.#context.openstack;
    const { name } = this.#plan;
    this.expectServer();
    this.ports.push({
      id: `ports of ${name}`,
      remove: async () => {
        const found = await ports.list({ name });
        await Promise.all(found.filter((port) => port.name === name).map((port) => ports.delete(port.id)));
      },
    });
  }

  addPort(id: string): void {
    const { ports } = this.#context.openstack;
    this.ports.push({ id, remove: () => ports.delete(id) });
  }
}
