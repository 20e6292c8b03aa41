import type { ArgumentsOf } from '../cpi/arguments/index.ts';
import type { CallContext } from '../cpi/call-context.ts';
import { CloudError, VMCreationFailed } from '../cpi/errors.ts';
import type { PoolSpec } from '../network/load-balancer.ts';
import {
  checkSeveralNetworks,
  type NetworkPlan,
  type NetworkSpecs,
  planNetworks,
  requiredGateway,
} from '../network/network-plan.ts';
import { addressPairs, checkVrrpNetwork } from '../network/vrrp.ts';
import type { AddressPair } from '../openstack/neutron/ports.ts';
import type { Registry } from '../registry/client.ts';
import { imageIdOf } from '../stemcell/stemcell-cid.ts';
import { registryFor } from './registry-entry.ts';

type Arguments = ArgumentsOf['create_vm'];
type CloudProperties = Arguments[2];

/** All that create_vm is asked for, checked as far as that goes without asking the cloud. */
export interface VmPlan {
  /** Of the server, of its ports, and of its entry in the registry. */
  name: string;
  agentId: string;
  stemcellCid: string;
  imageId: string;
  instanceType: string;
  keyName: string | undefined;
  networkSpecs: NetworkSpecs;
  networks: NetworkPlan;
  /** Names or ids. */
  securityGroups: readonly string[];
  addressPairs: AddressPair[];
  arePairsChecked: boolean;
  pools: PoolSpec[];
  /** To be tried in this order; undefined leaves the choice to Nova. */
  zones: (string | undefined)[];
  bootVolume: BootVolume | undefined;
  schedulerHints: Record<string, unknown> | undefined;
  env: Record<string, unknown> | undefined;
  registry: Registry;
}

export interface BootVolume {
  /** GiB; undefined for the size of the flavor's disk. */
  size: number | undefined;
  type: string | undefined;
}

/** @throws {CloudError} @throws {VMCreationFailed} @throws {CpiError} for the first rule that is broken */
export function planVm(args: Arguments, context: CallContext): VmPlan {
  const [agentId, stemcellCid, properties, networkSpecs, , env] = args;
  const { cloud } = context;
  const networks = planNetworks(networkSpecs);
  checkSeveralNetworks(networks, cloud);
  const zones = zonesOf(properties, cloud.ignoreServerAvailabilityZone);
  const bootVolume = bootVolumeOf(properties, cloud.bootFromVolume);
  const pools = poolsOf(properties);
  const pairs = addressPairs(properties.allowed_address_pairs);
  if (pairs.length > 0 || pools.length > 0 || networks.vipAddress) {
    requiredGateway(networks);
  }
  if (pairs.length > 0) {
    checkVrrpNetwork(requiredGateway(networks));
  }
  const registry = registryFor(context, { isRequired: true });
  if (!properties.instance_type) {
    throw new CloudError("Flavor `' not found");
  }
  const vmGroups = properties.security_groups ?? [];
  return {
    name: `vm-${context.invocationId}`,
    agentId,
    stemcellCid,
    imageId: imageIdOf(stemcellCid),
    instanceType: properties.instance_type,
    keyName: properties.key_name || cloud.defaultKeyName,
    networkSpecs,
    networks,
    securityGroups:
      [vmGroups, networks.securityGroups, cloud.defaultSecurityGroups].find((list) => list.length > 0) ?? [],
    addressPairs: pairs,
    arePairsChecked: arePairsChecked(properties, networks, networkSpecs),
    pools,
    zones,
    bootVolume,
    schedulerHints: properties.scheduler_hints ?? undefined,
    env: env ?? undefined,
    registry,
  };
}

function zonesOf(properties: CloudProperties, isNovaAlone: boolean): (string | undefined)[] {
  const zone = properties.availability_zone || undefined;
  const zones = properties.availability_zones ?? [];
  if (zone && zones.length > 0) {
    throw new CloudError(
      'Invalid cloud_properties: only one property of "availability_zone" and "availability_zones" allowed.',
    );
  }
  if (zones.length > 1 && !isNovaAlone) {
    throw new CloudError('Cannot use multiple azs without openstack.ignore_server_availability_zone');
  }
  return zones.length > 0 ? shuffled(zones) : [zone];
}

function bootVolumeOf(properties: CloudProperties, isDefault: boolean): BootVolume | undefined {
  const size = properties.root_disk?.size ?? undefined;
  const sizeGib = size === undefined || size === '' ? undefined : Number(size);
  if (sizeGib !== undefined && !(Number.isFinite(sizeGib) && sizeGib >= 1)) {
    throw new CloudError('Minimum root_disk size is 1 GiB');
  }
  const isBootedFromVolume = properties.boot_from_volume ?? isDefault;
  return isBootedFromVolume
    ? {
        size: sizeGib === undefined ? undefined : Math.ceil(sizeGib),
        type: properties.root_disk?.type || undefined,
      }
    : undefined;
}

function poolsOf(properties: CloudProperties): PoolSpec[] {
  return (properties.loadbalancer_pools ?? []).map(({ name, port, monitoring_port: monitoringPort }) => {
    if (!name) {
      throw new VMCreationFailed('Load balancer pool defined without a name', { okToRetry: false });
    }
    if (port === undefined || port === null) {
      throw new VMCreationFailed(`Load balancer pool '${name}' has no port definition`, { okToRetry: false });
    }
    return { name, port, monitoringPort: monitoringPort ?? undefined };
  });
}

/** The VM's own choice wins over that of the network. */
function arePairsChecked(
  properties: CloudProperties,
  { gateway }: NetworkPlan,
  specs: NetworkSpecs,
): boolean {
  const ofNetwork = gateway ? specs[gateway.name]?.cloud_properties?.vrrp_port_check : undefined;
  return properties.vrrp_port_check ?? ofNetwork ?? true;
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((value) => ({ value, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value);
}
