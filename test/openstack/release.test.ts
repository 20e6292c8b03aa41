import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_NAME } from '../../scripts/release/make-release.ts';
import { makeOwnRelease, ownVersion } from '../../scripts/release/own-release.ts';
import { programs } from '../../scripts/release/programs.ts';
import { leavesNothing, lifecycle, networks, resultOf } from '../acceptance/scenario.ts';
import { realStage, type Stage } from '../acceptance/stage.ts';
import {
  imageData,
  type StemcellArchive,
  stemcellArchive,
  stemcellName,
  stemcellProperties,
} from '../acceptance/stemcell-archive.ts';
import { type Installation, installRelease } from '../release/installation.ts';
import { realCloud } from '../support/real-cloud.ts';

// A release is made on Linux.
describe.runIf(process.platform === 'linux')('the installed release', () => {
  let folder: string;
  let installation: Installation;
  let stage: Stage;
  let archive: StemcellArchive;

  beforeAll(async () => {
    const cloud = await realCloud();
    folder = await mkdtemp(join(tmpdir(), 'own-release-'));
    const { path } = await makeOwnRelease({
      version: await ownVersion(),
      name: DEFAULT_NAME,
      programs: await programs(),
      output: folder,
    });
    installation = await installRelease(path);
    stage = await realStage(cloud, { run: installation.run });
    archive = await stemcellArchive({ 'root.img': imageData() });
  });

  afterAll(async () => {
    await stage?.close();
    await Promise.all([installation?.remove(), archive?.remove(), folder && rm(folder, { recursive: true })]);
  });

  leavesNothing(() => stage);

  it("runs a VM's whole life on a manual and a vip network", async () => {
    await lifecycle(stage, {
      networks: { default: networks.manual(stage, '10.10.0.203'), public: networks.vip(stage) },
    });
  });

  it('uploads a stemcell and deletes it', async () => {
    const { cpi, operator } = stage;

    const id = resultOf(await cpi.call('create_stemcell', [archive.path, stemcellProperties]));

    expect(await operator.image(id)).toMatchObject({ status: 'active', name: stemcellName });
    expect(resultOf(await cpi.call('delete_stemcell', [id]))).toBeNull();
    expect(await operator.image(id)).toBeUndefined();
  });
});
