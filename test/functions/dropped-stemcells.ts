import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import type { CpiResponse } from '#lib/cpi/response.ts';
import { isRecord } from '#lib/json.ts';
import { embeddedStage, type Stage } from '../acceptance/stage.ts';
import { refuseSecrets } from '../support/cpi.ts';
import type { EmbeddedCloud } from '../support/embedded/index.ts';
import { type FunctionProcess, startFunctionProcess } from '../support/function-process.ts';
import { type ObjectStoreServer, startObjectStore } from '../support/object-store.ts';
import { awsEvent, type Happening } from '../support/store-events.ts';
import { unpackedLight } from '../support/whole-stemcell.ts';
import { insideOf } from './embedded-cloud.ts';

const PREFIX = 'stemcells/';
const KEY = `${PREFIX}bosh-stemcell-1.390.tgz`;
const LIGHT_KEY = `${PREFIX}light/light-bosh-stemcell-1.390.tgz`;
const STATUS_KEY = `${KEY}.status.json`;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Where stemcells are dropped, and the deployed functions that hear of it. */
export class DropZone {
  readonly prefix = PREFIX;
  readonly key = KEY;
  readonly lightKey = LIGHT_KEY;
  readonly statusKey = STATUS_KEY;
  readonly stage: Stage;
  readonly store: ObjectStoreServer;
  readonly functions: FunctionProcess;

  constructor(stage: Stage, store: ObjectStoreServer) {
    this.stage = stage;
    this.store = store;
    this.functions = this.startFunctions();
  }

  get cloud(): EmbeddedCloud {
    return insideOf(this.stage);
  }

  get secrets(): string[] {
    return [...this.stage.secrets(), ...this.store.secrets];
  }

  /** The functions' own. */
  configuration(openstack: Record<string, unknown> = {}, stemcells: Record<string, unknown> = {}): object {
    const { properties } = this.stage;
    return {
      cloud: {
        properties: {
          ...properties,
          openstack: { ...properties.openstack, ...openstack },
          stemcells: { ...this.store.properties, prefix: PREFIX, ...stemcells },
        },
      },
    };
  }

  /** In a process of their own. */
  startFunctions(
    openstack: Record<string, unknown> = {},
    stemcells: Record<string, unknown> = {},
  ): FunctionProcess {
    return startFunctionProcess({ CPI_CONFIG: JSON.stringify(this.configuration(openstack, stemcells)) });
  }

  event(key = KEY): Happening {
    return { bucket: this.store.bucket.name, key };
  }

  /** @returns what was answered; an error when the event is to come again */
  async deliver(
    event: object = awsEvent(this.event()),
    to = this.functions,
    limits: { limitMs?: number } = {},
  ): Promise<CpiResponse | Error> {
    const answer = await to.invoke('stemcell_uploaded', event, limits).catch((error: Error) => error);
    const told = this.store.bucket.keys().filter((key) => key.endsWith('.json'));
    refuseSecrets(
      [
        answer instanceof Error ? answer.message : JSON.stringify(answer),
        ...told.map((key) => this.store.bucket.text(key) ?? ''),
      ],
      this.secrets,
    );
    return answer;
  }

  /** What became of each object. */
  async outcomes(event?: object, to?: FunctionProcess): Promise<unknown[]> {
    const answer = await this.deliver(event, to);
    expect(answer).toMatchObject({ error: null });
    return 'result' in answer && Array.isArray(answer.result) ? answer.result : [];
  }

  /** Of the only object of an event, which must become one. */
  async imageOf(event?: object, to?: FunctionProcess): Promise<string> {
    const [outcome] = await this.outcomes(event, to);
    expect(outcome).toMatchObject({ state: 'active', image_id: expect.stringMatching(UUID) });
    return isRecord(outcome) ? String(outcome.image_id) : '';
  }

  status(): unknown {
    return JSON.parse(this.store.bucket.text(STATUS_KEY) ?? 'null');
  }

  /** Ids of all images. */
  images(): string[] {
    const images = this.cloud.leftovers().filter(({ kind }) => kind === 'image');
    return images.map(({ id }) => id);
  }

  data(imageId: string): Promise<Buffer> {
    return this.stage.operator.imageData(imageId);
  }

  /** Files of the light stemcell. */
  light(): Promise<Record<string, string>> {
    return unpackedLight(this.store.bucket.content(LIGHT_KEY) ?? Buffer.alloc(0));
  }

  async close(): Promise<void> {
    const written = await this.functions.close();
    await Promise.all([this.store.close(), this.stage.close()]);

    refuseSecrets([written], this.secrets);
  }
}

/** For the tests of one `describe`, empty for each. */
export function dropZone(): () => DropZone {
  let zone: DropZone;

  beforeAll(async () => {
    zone = new DropZone(await embeddedStage(), await startObjectStore());
  });

  beforeEach(() => {
    zone.store.reset();
    zone.cloud.restore();
    zone.stage.injector.reset();
  });

  afterAll(() => zone.close());

  return () => zone;
}
