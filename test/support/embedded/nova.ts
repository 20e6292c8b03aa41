import type { Cinder } from './cinder.ts';
import { ApiError, type ApiRequest, type Caller, htmlError, type Reply, Routes } from './http.ts';
import type { Neutron } from './neutron.ts';
import { Actions } from './nova/actions.ts';
import { Builder } from './nova/builder.ts';
import { CreateRequests } from './nova/create-request.ts';
import { Flavors, shownFlavor } from './nova/flavors.ts';
import { Keypairs } from './nova/keypairs.ts';
import { bodyOf, type Call, fault, microversion, versionDocument } from './nova/requests.ts';
import { ServerGroups } from './nova/server-groups.ts';
import { Servers } from './nova/servers.ts';
import { VolumeAttachments } from './nova/volume-attachments.ts';
import type { World } from './world.ts';

/** Compute API v2.1: https://docs.openstack.org/api-ref/compute/ */
export class Nova {
  readonly #maxVersion: number;
  readonly #routes: Routes<Call>;

  constructor(world: World, cinder: Cinder, neutron: Neutron, zones: string[]) {
    const flavors = new Flavors(world);
    const keypairs = new Keypairs(world);
    const groups = new ServerGroups(world);
    const builder = new Builder(world, cinder, neutron, zones);
    const requests = new CreateRequests(world, cinder);
    const servers = new Servers(world, zones, cinder, flavors, keypairs, groups, requests, builder);
    const actions = new Actions(world, servers);
    const attachments = new VolumeAttachments(world, servers);
    this.#maxVersion = world.options.maxNovaVersion;
    this.#routes = new Routes<Call>()
      .on('GET', '/', (call) => versionDocument(call, this.#maxVersion))

      .on('GET', '/servers', (call) => servers.list(call, false))
      .on('GET', '/servers/detail', (call) => servers.list(call, true))
      .on('POST', '/servers', (call) => servers.create(call))
      .on('GET', '/servers/{}', (call, id) => servers.show(call, id))
      .on('PUT', '/servers/{}', (call, id) => servers.update(call, id))
      .on('DELETE', '/servers/{}', (call, id) => servers.delete(call, id))
      .on('POST', '/servers/{}/action', (call, id) => actions.run(call, id))

      .on('GET', '/servers/{}/os-instance-actions', (call, id) => servers.actions(call, id))

      .on('GET', '/servers/{}/metadata', (call, id) => servers.metadata(call, id))
      .on('POST', '/servers/{}/metadata', (call, id) => servers.writeMetadata(call, id, 'merge'))
      .on('PUT', '/servers/{}/metadata', (call, id) => servers.writeMetadata(call, id, 'replace'))
      .on('GET', '/servers/{}/metadata/{}', (call, id, key) => servers.metadataItem(call, id, key))
      .on('DELETE', '/servers/{}/metadata/{}', (call, id, key) => servers.deleteMetadataItem(call, id, key))

      .on('GET', '/servers/{}/os-volume_attachments', (call, id) => attachments.list(call, id))
      .on('POST', '/servers/{}/os-volume_attachments', (call, id) => attachments.create(call, id))
      .on('GET', '/servers/{}/os-volume_attachments/{}', (call, id, volumeId) =>
        attachments.get(call, id, volumeId),
      )
      .on('DELETE', '/servers/{}/os-volume_attachments/{}', (call, id, volumeId) =>
        attachments.delete(call, id, volumeId),
      )

      .on('GET', '/flavors', (call) => flavors.list(call, false))
      .on('GET', '/flavors/detail', (call) => flavors.list(call, true))
      .on('POST', '/flavors', (call) => flavors.create(call))
      .on('GET', '/flavors/{}', (call, id) => ({
        status: 200,
        body: { flavor: shownFlavor(call, flavors.get(call.caller, id)) },
      }))
      .on('DELETE', '/flavors/{}', (call, id) => flavors.delete(call, id))

      .on('GET', '/os-keypairs', (call) => keypairs.list(call))
      .on('POST', '/os-keypairs', (call) => keypairs.create(call))
      .on('GET', '/os-keypairs/{}', (call, name) => keypairs.show(call, name))
      .on('DELETE', '/os-keypairs/{}', (call, name) => keypairs.delete(call, name))

      .on('GET', '/os-server-groups', (call) => groups.list(call))
      .on('POST', '/os-server-groups', (call) => groups.create(call))
      .on('GET', '/os-server-groups/{}', (call, id) => ({
        status: 200,
        body: { server_group: groups.shown(call, groups.get(id, 'itemNotFound', 404)) },
      }))
      .on('DELETE', '/os-server-groups/{}', (_, id) => groups.delete(id))

      .on('GET', '/os-availability-zone', () => ({
        status: 200,
        body: {
          availabilityZoneInfo: zones.map((zoneName) => ({
            zoneName,
            zoneState: { available: true },
            hosts: null,
          })),
        },
      }));
  }

  async handle(request: ApiRequest, caller: Caller): Promise<Reply> {
    const path = request.path.replace(/^\/v2\.1(?=\/|$)/, '');
    const rest = path.startsWith(`/${caller.projectId}/`) ? path.slice(caller.projectId.length + 1) : path;
    const route = this.#routes.find(request.method, rest === '' ? '/' : rest);
    if (!route || !('run' in route)) {
      return htmlError(404);
    }
    const version = microversion(request, this.#maxVersion);
    const headers = {
      'openstack-api-version': `compute 2.${version}`,
      'x-openstack-nova-api-version': `2.${version}`,
      vary: 'OpenStack-API-Version, X-OpenStack-Nova-API-Version',
    };
    try {
      if (version > this.#maxVersion) {
        throw fault(
          'computeFault',
          406,
          `Version 2.${version} is not supported by the API. Minimum is 2.1 and maximum is 2.${this.#maxVersion}.`,
        );
      }
      const reply = await route.run({ request, caller, version, body: await bodyOf(request) });
      return { ...reply, headers: { ...headers, ...reply.headers } };
    } catch (error) {
      if (error instanceof ApiError) {
        throw new ApiError({ ...error.reply, headers: { ...headers, ...error.reply.headers } });
      }
      throw error;
    }
  }
}
