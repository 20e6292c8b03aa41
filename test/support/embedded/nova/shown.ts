import { createHash } from 'node:crypto';
import type { Attachment, Port, Server } from '../state.ts';
import type { World } from '../world.ts';
import { bookmark, type Call, linksOf } from './requests.ts';

/** A server as the microversion in force shows it. */
export function shownServer(world: World, call: Call, server: Server): Record<string, unknown> {
  const { ports, networks, floatingIps, securityGroups, flavors } = world.state;
  const own = [...ports.values()].filter((port) => port.device_id === server.id);
  const addresses: Record<string, unknown[]> = {};
  for (const port of own) {
    const network = networks.get(port.network_id)?.name ?? port.network_id;
    addresses[network] ??= [];
    for (const ip of port.fixed_ips) {
      const floating = [...floatingIps.values()].filter(
        (fip) => fip.fixed_ip_address === ip.ip_address && fip.port_id === port.id,
      );
      addresses[network].push(
        address(port, ip.ip_address, 'fixed'),
        ...floating.map((fip) => address(port, fip.floating_ip_address, 'floating')),
      );
    }
  }
  const flavor = flavors.get(server.flavor_id);
  const groups = own
    .flatMap((port) => port.security_groups)
    .map((id) => ({ name: securityGroups.get(id)?.name ?? id }));
  const host =
    server.launched_at === null ? '' : createHash('sha224').update(server.availability_zone).digest('hex');
  return {
    id: server.id,
    name: server.name,
    status: server.status,
    tenant_id: server.project_id,
    user_id: server.user_id,
    metadata: server.metadata,
    hostId: host,
    image:
      server.image_id === ''
        ? ''
        : { id: server.image_id, links: bookmark(call, `images/${server.image_id}`) },
    flavor:
      call.version >= 47
        ? {
            vcpus: flavor?.vcpus,
            ram: flavor?.ram,
            disk: flavor?.disk,
            ephemeral: flavor?.ephemeral,
            swap: flavor?.swap,
            original_name: flavor?.name,
            extra_specs: {},
          }
        : { id: server.flavor_id, links: bookmark(call, `flavors/${server.flavor_id}`) },
    created: server.created,
    updated: server.updated,
    addresses,
    accessIPv4: '',
    accessIPv6: '',
    links: linksOf(call, `servers/${server.id}`),
    'OS-DCF:diskConfig': 'MANUAL',
    ...(server.fault && { fault: server.fault }),
    ...(['ACTIVE', 'BUILD', 'REBOOT', 'HARD_REBOOT'].includes(server.status) && { progress: 0 }),
    'OS-EXT-AZ:availability_zone': server.availability_zone,
    config_drive: server.config_drive ? 'True' : '',
    key_name: server.key_name,
    'OS-SRV-USG:launched_at': server.launched_at,
    'OS-SRV-USG:terminated_at': null,
    ...(groups.length > 0 && { security_groups: groups }),
    'OS-EXT-STS:task_state': server.task_state,
    'OS-EXT-STS:vm_state': server.vm_state,
    'OS-EXT-STS:power_state': server.vm_state === 'active' ? 1 : 0,
    'os-extended-volumes:volumes_attached': server.attachments.map((attachment) => ({
      id: attachment.volume_id,
      ...(call.version >= 3 && { delete_on_termination: attachment.delete_on_termination }),
    })),
    ...(call.version >= 3 && call.caller.admin && { 'OS-EXT-SRV-ATTR:user_data': server.user_data }),
    ...(call.version >= 9 && { locked: false }),
    ...(call.version >= 19 && { description: server.name }),
    ...(call.version >= 26 && { tags: [] }),
  };
}

function address(port: Port, addr: string, type: string): Record<string, unknown> {
  return {
    version: addr.includes(':') ? 6 : 4,
    addr,
    'OS-EXT-IPS:type': type,
    'OS-EXT-IPS-MAC:mac_addr': port.mac_address,
  };
}

export function shownAttachment(call: Call, server: Server, row: Attachment): Record<string, unknown> {
  return {
    ...(call.version < 89 && { id: row.volume_id }),
    volumeId: row.volume_id,
    serverId: server.id,
    device: row.device,
    ...(call.version >= 70 && { tag: null }),
    ...(call.version >= 79 && { delete_on_termination: row.delete_on_termination }),
    ...(call.version >= 89 && { attachment_id: row.attachment_id, bdm_uuid: row.bdm_uuid }),
  };
}
