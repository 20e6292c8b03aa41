import { type ChildProcess, fork } from 'node:child_process';
import { tmpdir } from 'node:os';
import type { Bundles } from './bundles.ts';
import type { Order, Report } from './runtime.ts';

/** Why there is no report: the process is gone. */
export class EnvironmentDied extends Error {
  override readonly name = 'EnvironmentDied';
  readonly reason: string;

  constructor(code: number | null, signal: NodeJS.Signals | null) {
    const reason = signal === null ? `exit status ${code}` : `signal: ${SIGNALS[signal] ?? signal}`;
    super(reason);
    this.reason = reason;
  }
}

const SIGNALS: Partial<Record<NodeJS.Signals, string>> = { SIGKILL: 'killed', SIGTERM: 'terminated' };

/** How many processes wait for a function, so that none has to be waited for. */
const SPARE = 2;

/** Processes that run functions: one per concurrent invocation, used again for the same function. */
export class ExecutionEnvironments {
  readonly #bundles: Bundles;
  readonly #spare: ExecutionEnvironment[] = [];
  readonly #warm = new Map<string, ExecutionEnvironment[]>();
  readonly #all = new Set<ExecutionEnvironment>();

  constructor(bundles: Bundles) {
    this.#bundles = bundles;
    this.#refill();
  }

  take(path: string, variables: Record<string, string>): ExecutionEnvironment {
    const key = JSON.stringify([path, variables]);
    const warm = this.#warm.get(key) ?? [];
    this.#warm.set(key, warm);
    for (let environment = warm.pop(); environment; environment = warm.pop()) {
      if (environment.isAlive) {
        return environment;
      }
    }
    const environment = this.#spare.pop() ?? this.#start();
    this.#refill();
    environment.load(path, variables, () => warm.push(environment));
    return environment;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all].map((environment) => environment.kill()));
  }

  #refill(): void {
    while (this.#spare.length < SPARE) {
      this.#spare.push(this.#start());
    }
  }

  #start(): ExecutionEnvironment {
    const environment = new ExecutionEnvironment(this.#bundles);
    this.#all.add(environment);
    return environment;
  }
}

export class ExecutionEnvironment {
  readonly #process: ChildProcess;
  readonly #death: Promise<EnvironmentDied>;
  #release: () => void = () => {};

  constructor({ runtime, modules }: Bundles) {
    this.#process = fork(runtime, {
      env: { NODE_PATH: modules, TZ: ':UTC', HOME: '/tmp', TMPDIR: tmpdir() },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    // What is sent to a dead process is lost; its death is told by itself.
    this.#process.on('error', () => {});
    this.#death = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => resolve(new EnvironmentDied(code, signal)));
    });
  }

  get isAlive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  load(path: string, environment: Record<string, string>, release: () => void): void {
    this.#release = release;
    this.#send({ is: 'load', path, environment });
  }

  /** @throws {EnvironmentDied} */
  async invoke(order: Omit<Order & { is: 'invoke' }, 'is'>): Promise<Report> {
    const report = new Promise<Report>((resolve) => {
      this.#process.once('message', (message) => resolve(message as Report));
    });
    this.#send({ is: 'invoke', ...order });
    const end = await Promise.race([report, this.#death]);
    if (end instanceof EnvironmentDied) {
      throw end;
    }
    this.#release();
    return end;
  }

  /** At once; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#death;
  }

  #send(order: Order): void {
    if (this.isAlive && this.#process.connected) {
      this.#process.send(order, () => {});
    }
  }
}
