import { describe, expect, it } from 'vitest';
import {
  bodyOf,
  createVm,
  deleteVm,
  networks,
  resultOf,
  sent,
  vmFor,
  withFlavors,
} from '../acceptance/scenario.ts';
import { cloudError } from '../faults/messages.ts';
import { embeddedCloud, expectFailure, insideOf, warningsOf } from './embedded-cloud.ts';

const ADDRESS = '10.10.0.50';
const SERVERS = /^\/servers$/;
const PORTS = /^\/ports$/;
const fastRootDisk = { boot_from_volume: true, root_disk: { size: 2, type: 'fast' } };

describe('create_vm', () => {
  describe('with disks of its own', () => {
    const getStage = embeddedCloud();

    it('refuses to boot from a volume of no size, before a port is made', async () => {
      const stage = getStage();

      await withFlavors(stage, { diskless: { vcpus: 1, ram: 512, disk: 0 } }, async () => {
        const outcome = await createVm(stage, {
          networks: { default: networks.manual(stage, ADDRESS) },
          properties: { instance_type: 'diskless', boot_from_volume: true },
        });

        expectFailure(
          outcome,
          cloudError(
            "Flavor 'diskless' has a root disk size of 0. Either pick a different flavor or define root_disk.size in your VM cloud_properties",
          ),
        );
        expect(sent(stage, 'POST', PORTS)).toEqual([]);
        expect(sent(stage, 'POST', SERVERS)).toEqual([]);
      });
    });

    it('only warns of an ephemeral disk smaller than twice the memory', async () => {
      const stage = getStage();
      const flavors = {
        tight: { vcpus: 1, ram: 4096, disk: 10, ephemeral: 7 },
        fitting: { vcpus: 1, ram: 4096, disk: 10, ephemeral: 8 },
      };

      await withFlavors(stage, flavors, async () => {
        const creation = (name: string) =>
          createVm(stage, {
            networks: { default: networks.dynamic(stage) },
            properties: { instance_type: name },
          });
        const tight = await creation('tight');
        const fitting = await creation('fitting');

        expect(warningsOf(tight)).toEqual(["Flavor `tight' should have at least 8Gb of ephemeral disk"]);
        expect(warningsOf(fitting)).toEqual([]);
        await deleteVm(stage, resultOf(tight)[0]);
        await deleteVm(stage, resultOf(fitting)[0]);
      });
    });

    it('asks for the type of the root disk with the microversion that knows it', async () => {
      const stage = getStage();

      const serverId = await vmFor(stage, {
        networks: { default: networks.manual(stage, ADDRESS) },
        properties: fastRootDisk,
      });

      const [creation] = sent(stage, 'POST', SERVERS);
      expect(creation?.headers['x-openstack-nova-api-version']).toBe('2.67');
      expect(bodyOf(creation).server.block_device_mapping_v2).toEqual([
        expect.objectContaining({ volume_size: 2, volume_type: 'fast' }),
      ]);
      const [attachment] = await stage.operator.attachments(serverId);
      expect(await stage.operator.volume(attachment.volumeId)).toMatchObject({ volume_type: 'fast' });
      await deleteVm(stage, serverId);
    });

    it('tells that microversion to choose a network where none is given', async () => {
      const stage = getStage();
      const { networks: existing } = insideOf(stage);
      const other = existing.get(stage.cloud.networks['net-b'].id);
      // Nova chooses only when there is nothing to choose from.
      Object.assign(other ?? {}, { project_id: 'somebody-else' });

      const serverId = await vmFor(stage, {
        networks: { default: { type: 'dynamic', cloud_properties: {} } },
        properties: fastRootDisk,
      });

      expect(bodyOf(sent(stage, 'POST', SERVERS)[0]).server.networks).toBe('auto');
      await deleteVm(stage, serverId);
    });
  });

  describe('on a cloud before Stein', () => {
    const getStage = embeddedCloud({ maxNovaVersion: 66 });

    it('refuses a type of the root disk, and removes the port', async () => {
      const stage = getStage();

      const outcome = await createVm(stage, {
        networks: { default: networks.manual(stage, ADDRESS) },
        properties: fastRootDisk,
      });

      expectFailure(
        outcome,
        cloudError('root_disk.type needs a cloud with compute API 2.67 or later (Stein)'),
      );
      expect(sent(stage, 'POST', SERVERS)).toHaveLength(1);
      expect(sent(stage, 'DELETE', /^\/ports\//)).toHaveLength(1);
    });
  });
});
