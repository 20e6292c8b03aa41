import type { ArgumentsOf } from '../cpi/arguments/index.ts';
import { CloudError, VMCreationFailed } from '../cpi/errors.ts';

/** The networks argument of create_vm. */
export type NetworkSpecs = ArgumentsOf['create_vm'][3];
export type NetworkSpec = NetworkSpecs[string];

/** A network that the VM gets an interface on. */
export interface PrivateNetwork {
  name: string;
  type: 'manual' | 'dynamic';
  /** Always set for a manual network. */
  netId: string | undefined;
  ip: string | undefined;
}

export interface NetworkPlan {
  /** In the order of the VM's interfaces. */
  privateNetworks: PrivateNetwork[];
  /** The floating IP's address. */
  vipAddress: string | undefined;
  /** Where the default route goes; undefined when no network claims it. */
  gateway: PrivateNetwork | undefined;
  /** Security groups of all networks, names or ids. */
  securityGroups: string[];
}

/** @throws {CloudError} naming the rule that the networks break */
export function planNetworks(specs: NetworkSpecs): NetworkPlan {
  const entries = Object.entries(specs).map(([name, spec]) => ({ name, spec, type: typeOf(spec) }));
  const privateNetworks = entries.flatMap(({ name, spec, type }) =>
    type === 'vip'
      ? []
      : [{ name, type, netId: spec.cloud_properties?.net_id || undefined, ip: spec.ip || undefined }],
  );
  checkCounts(entries.map(({ type }) => type));
  checkNetIds(privateNetworks);
  return {
    privateNetworks,
    vipAddress: vipAddress(entries.find(({ type }) => type === 'vip')),
    gateway: gatewayOf(privateNetworks, specs),
    securityGroups: [
      ...new Set(entries.flatMap(({ spec }) => spec.cloud_properties?.security_groups ?? [])),
    ].sort(),
  };
}

/**
 * Several interfaces work only when the agent configures them by itself.
 * @throws {VMCreationFailed}
 */
export function checkSeveralNetworks(
  { privateNetworks }: NetworkPlan,
  settings: { useDhcp: boolean; configDrive: string | undefined },
): void {
  if (privateNetworks.length > 1 && (settings.useDhcp || settings.configDrive === undefined)) {
    throw new VMCreationFailed(
      "Multiple manual networks can only be used with 'openstack.use_dhcp=false' and 'openstack.config_drive=cdrom|disk'",
      { okToRetry: false },
    );
  }
}

/** @throws {CloudError} when several networks are there, and none is the default */
export function requiredGateway({ gateway }: NetworkPlan): PrivateNetwork {
  if (!gateway) {
    throw new CloudError('No network with default gateway defined');
  }
  return gateway;
}

function typeOf({ type }: NetworkSpec): 'manual' | 'dynamic' | 'vip' {
  const name = type ?? 'manual';
  if (name !== 'manual' && name !== 'dynamic' && name !== 'vip') {
    throw new CloudError(
      `Invalid network type \`${name}': OpenStack CPI can only handle \`dynamic', 'manual' or \`vip' network types`,
    );
  }
  return name;
}

function checkCounts(types: string[]): void {
  const count = (type: string) => types.filter((one) => one === type).length;
  if (count('manual') + count('dynamic') === 0) {
    throw new CloudError('At least one dynamic or manual network should be defined');
  }
  if (count('dynamic') > 1) {
    throw new CloudError('Only one dynamic network per instance should be defined');
  }
  if (count('vip') > 1) {
    throw new CloudError('Only one VIP network per instance should be defined');
  }
}

function checkNetIds(networks: PrivateNetwork[]): void {
  const seen = new Set<string>();
  for (const { type, netId } of networks) {
    if (netId === undefined) {
      if (type === 'manual') {
        throw new CloudError('Manual network must have net_id');
      }
      continue;
    }
    if (seen.has(netId)) {
      throw new CloudError(
        `${type === 'manual' ? 'Manual' : 'Dynamic'} network with id ${netId} is already defined`,
      );
    }
    seen.add(netId);
  }
}

function vipAddress(vip: { name: string; spec: NetworkSpec } | undefined): string | undefined {
  if (vip && !vip.spec.ip) {
    throw new CloudError(`No IP provided for vip network \`${vip.name}'`);
  }
  return vip?.spec.ip ?? undefined;
}

function gatewayOf(networks: PrivateNetwork[], specs: NetworkSpecs): PrivateNetwork | undefined {
  return networks.length === 1
    ? networks[0]
    : networks.find(({ name }) => specs[name]?.default?.includes('gateway'));
}
