import type { CallContext } from '../cpi/call-context.ts';
import { formatServerMetadata, INVOCATION_KEY, REGISTRY_KEY } from '../cpi/metadata.ts';
import { isRecord } from '../json.ts';
import type { Port } from '../openstack/neutron/ports.ts';
import type { Flavor } from '../openstack/nova/flavors.ts';
import type { BlockDevice, Interface, ServerRequest } from '../openstack/nova/servers.ts';
import { type AgentNetworks, userData } from './agent-settings.ts';
import type { FoundResources } from './look-ups.ts';
import type { BootVolume, VmPlan } from './vm-plan.ts';

/** The body of the request that makes the server, but for its availability zone. */
export function serverRequest(
  plan: VmPlan,
  found: FoundResources,
  ports: ReadonlyMap<string, Port>,
  networks: AgentNetworks,
  context: CallContext,
): ServerRequest {
  const { cloud } = context;
  const { flavor } = found;
  const interfaces = interfacesOf(plan, ports);
  return {
    server: {
      name: plan.name,
      ...(plan.bootVolume
        ? { block_device_mapping_v2: [bootDevice(plan.imageId, plan.bootVolume, flavor)] }
        : { imageRef: plan.imageId }),
      flavorRef: flavor.id,
      ...(plan.keyName ? { key_name: plan.keyName } : {}),
      ...(found.securityGroups.length > 0
        ? { security_groups: found.securityGroups.map((name) => ({ name })) }
        : {}),
      ...networksOf(interfaces, plan.bootVolume),
      ...(cloud.configDrive ? { config_drive: true } : {}),
      user_data: userData(plan, networks, flavor, context),
      metadata: serverMetadata(plan, context),
    },
    ...(plan.schedulerHints ? { 'os:scheduler_hints': plan.schedulerHints } : {}),
  };
}

function interfacesOf(plan: VmPlan, ports: ReadonlyMap<string, Port>): Interface[] {
  return plan.networks.privateNetworks.flatMap(({ name, type, netId, ip }): Interface[] => {
    if (netId === undefined) {
      return [];
    }
    const port = ports.get(name);
    if (port) {
      return [{ uuid: netId, port: port.id }];
    }
    return [{ uuid: netId, ...(type === 'manual' && ip ? { fixed_ip: ip } : {}) }];
  });
}

/** Microversions from 2.37 on, which a volume type needs, want to be told that Nova is to choose. */
function networksOf(interfaces: Interface[], bootVolume: BootVolume | undefined) {
  if (interfaces.length > 0) {
    return { networks: interfaces };
  }
  return bootVolume?.type ? { networks: 'auto' as const } : {};
}

function bootDevice(imageId: string, volume: BootVolume, flavor: Flavor): BlockDevice {
  return {
    uuid: imageId,
    source_type: 'image',
    destination_type: 'volume',
    volume_size: volume.size ?? flavor.disk,
    boot_index: 0,
    delete_on_termination: true,
    device_name: '/dev/vda',
    ...(volume.type ? { volume_type: volume.type } : {}),
  };
}

function serverMetadata(plan: VmPlan, { cloud, invocationId, log }: CallContext): Record<string, string> {
  return {
    ...formatServerMetadata(tagsOf(plan.env), log),
    ...(cloud.humanReadableVmNames ? { [REGISTRY_KEY]: plan.name } : {}),
    [INVOCATION_KEY]: invocationId,
  };
}

/** `env.bosh.tags`, so that VMs are tagged from birth. */
function tagsOf(env: Record<string, unknown> | undefined): Record<string, unknown> {
  const bosh = env?.bosh;
  const tags = isRecord(bosh) ? bosh.tags : undefined;
  return isRecord(tags) ? tags : {};
}
