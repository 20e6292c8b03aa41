import { randomBytes, randomUUID } from 'node:crypto';
import type { State } from './state.ts';

/** Highest allowed number per project; negative: unlimited, as on the clouds of our tests. */
export interface Quotas {
  instances: number;
  cores: number;
  ram: number;
  metadata_items: number;
  volumes: number;
  gigabytes: number;
  snapshots: number;
  network: number;
  subnet: number;
  port: number;
  security_group: number;
  floatingip: number;
  member: number;
  /** Bytes of one upload. */
  image_size: number;
}

export const unlimited: Quotas = {
  instances: -1,
  cores: -1,
  ram: -1,
  metadata_items: 1024,
  volumes: -1,
  gigabytes: -1,
  snapshots: -1,
  network: -1,
  subnet: -1,
  port: -1,
  security_group: -1,
  floatingip: -1,
  member: -1,
  image_size: -1,
};

/** Things that go wrong inside a cloud, each for the next operation of its kind only. */
export interface Mishaps {
  /** The server ends in ERROR with this fault message. */
  server?: string;
  /** The volume ends in `error`. */
  volume?: true;
  /** The volume ends in `error_deleting`. */
  volumeDeletion?: true;
  /** The volume ends in `error_extending`. */
  extend?: true;
  /** No host takes the volume: old type, old status, no word. */
  retype?: true;
  /** The attachment is rolled back: the volume is `available` again. */
  attach?: true;
  /** The snapshot ends in `error`. */
  snapshot?: true;
  /** The snapshot ends in `error_deleting`. */
  snapshotDeletion?: true;
  /** The load balancer ends in ERROR. */
  loadBalancer?: true;
}

interface Step {
  at: number;
  order: number;
  run: () => void;
}

export interface WorldOptions {
  settleMs: number;
  flavorPageSize: number;
  maxNovaVersion: number;
  volumeDevices: 'hint' | 'libvirt';
  dhcpAgent: boolean;
  keepImageBytes: boolean;
  registryStyle: 'director' | 'cli';
}

/** State, clock and settings that the services share. */
export class World {
  state: State;
  readonly options: WorldOptions;
  readonly quotas: Quotas = { ...unlimited };
  mishaps: Mishaps = {};
  readonly imageBytes = new Map<string, Buffer>();
  #steps: Step[] = [];
  #order = 0;

  constructor(state: State, options: WorldOptions) {
    this.state = state;
    this.options = options;
  }

  /** Runs what is due by then. Called before each request and before tests look at the state. */
  settle(now = performance.now()): void {
    for (;;) {
      const due = this.#steps
        .filter((step) => step.at <= now)
        .sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (!due) {
        return;
      }
      this.#steps = this.#steps.filter((step) => step !== due);
      due.run();
    }
  }

  /** The stages of an asynchronous change, evenly spread over `settleMs`; the last one ends it. */
  later(...stages: (() => void)[]): void {
    for (const [index, run] of stages.entries()) {
      this.#order += 1;
      this.#steps.push({
        at: performance.now() + (this.options.settleMs * (index + 1)) / stages.length,
        order: this.#order,
        run,
      });
    }
  }

  forgetSteps(): void {
    this.#steps = [];
  }

  /** True once after a test has asked for this mishap. */
  mishap<Kind extends keyof Mishaps>(kind: Kind): Mishaps[Kind] | undefined {
    const value = this.mishaps[kind];
    delete this.mishaps[kind];
    return value;
  }
}

/** `2026-01-31T12:00:00Z` */
export function seconds(date = new Date()): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** `2026-01-31T12:00:00.123000` */
export function micros(date = new Date()): string {
  return `${date.toISOString().slice(0, 23)}000`;
}

export function uuid(): string {
  return randomUUID();
}

/** Ids of users, projects and the like. */
export function hexId(): string {
  return randomUUID().replaceAll('-', '');
}

export function macAddress(): string {
  return `fa:16:3e:${[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
}
