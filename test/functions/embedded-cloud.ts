import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { GetStage } from '../acceptance/scenario.ts';
import { embeddedStage, type Stage } from '../acceptance/stage.ts';
import { type Failure, pattern } from '../faults/messages.ts';
import type { Outcome } from '../support/cpi.ts';
import type { EmbeddedCloud, EmbeddedCloudOptions } from '../support/embedded/index.ts';

/** A cloud for the tests of one `describe`, as it was seeded for each. A test that leaves something in it fails. */
export function embeddedCloud(options: EmbeddedCloudOptions = {}): GetStage {
  let stage: Stage;

  beforeAll(async () => {
    stage = await embeddedStage('here', options);
  });

  afterEach(() => {
    const cloud = insideOf(stage);
    const left = cloud.leftovers();
    cloud.restore();
    stage.injector.reset();
    expect(left).toEqual([]);
  });

  afterAll(() => stage.close());

  return () => stage;
}

/** The cloud's own state. */
export function insideOf({ embedded }: Stage): EmbeddedCloud {
  if (!embedded) {
    throw new Error('only the embedded cloud shows its inside');
  }
  return embedded;
}

/** The whole error. In its message, `<id>` and the like stand for what only a run knows. */
export function expectFailure({ result, error }: Outcome, { type, okToRetry, message }: Failure): void {
  expect(result).toBeNull();
  expect(error).toEqual({
    type,
    ok_to_retry: okToRetry,
    message: expect.stringMatching(pattern(message, {})),
  });
}

/** The texts of an outcome's warnings. */
export function warningsOf({ stderr }: Outcome): string[] {
  return [...stderr.matchAll(/ WARN \[req_id [^\]]+\] (.*)/g)].map(([, text = '']) => text);
}
