import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedStage, type Stage } from '../acceptance/stage.ts';
import { createVms } from './create-vms.ts';

const COUNT = 100;

describe('create_vm, called a hundred times at once', () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await embeddedStage('here', { settleMs: 50 });
  });

  afterAll(() => stage.close());

  it('makes a hundred VMs and nothing twice, while a fifth of all answers are 429 or 503', async () => {
    const { outcomes, requests, refused } = await createVms(stage, stage.cpi, COUNT);

    const made = outcomes.map(({ result }) => result?.[0]);
    expect(outcomes.flatMap(({ error }) => error?.message ?? [])).toEqual([]);
    expect(new Set(made).size).toBe(COUNT);
    expect(refused / requests).toBeCloseTo(0.2, 1);
    expect([...(stage.embedded?.servers.keys() ?? [])].toSorted()).toEqual(made.toSorted());
    expect(stage.embedded?.leftovers().filter(({ kind }) => kind === 'port')).toHaveLength(COUNT);
    expect(stage.embedded?.leftovers()).toHaveLength(2 * COUNT);
  });
});
