import { readdir } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { functions } from '#functions/index.ts';
import type { CpiMethod } from '#lib/cpi/methods.ts';
import { embeddedStage, type Stage } from './acceptance/stage.ts';
import { qcow2Data, type StemcellArchive, stemcellArchive } from './acceptance/stemcell-archive.ts';
import { finished } from './support/cpi.ts';
import {
  type Expectation,
  eventConfiguration,
  eventText,
  expectations,
  fileName,
  runEvents,
} from './support/director-events.ts';

let stage: Stage;
let archive: StemcellArchive;

beforeAll(async () => {
  stage = await embeddedStage();
  archive = await stemcellArchive({ 'root.img': qcow2Data() });
});

afterEach(() => stage.embedded?.restore());

afterAll(async () => {
  await stage.close();
  await archive.remove();
});

async function invoke(method: CpiMethod, event: object) {
  const { handler } = await functions[method]();
  return finished(await handler({ ...event, config: eventConfiguration(stage) }, {}));
}

describe('events', () => {
  it('has one request for each method, and what a store sends', async () => {
    const files = await readdir('events');

    expect(files.sort()).toEqual([...Object.keys(functions), 'stemcell_uploaded'].map(fileName).sort());
  });

  it.each(Object.keys(functions) as CpiMethod[])(
    '%s names its own method and holds no secret',
    async (method) => {
      const text = await eventText(method);

      expect(JSON.parse(text).method).toBe(method);
      expect(text).not.toMatch(/api_key|secret|token|private_key|:\/\/[^/]*@/i);
    },
  );

  it.each(Object.entries(expectations) as [CpiMethod, Expectation][])(
    '%s is answered by its function',
    async (method, { after, response }) => {
      const given = await runEvents([...after, method], invoke, { stage, archive });

      expect(given).toMatchObject(response);
    },
  );
});
