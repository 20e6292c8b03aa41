import type { CallContext } from '../cpi/call-context.ts';
import { CloudError } from '../cpi/errors.ts';
import type { NetworkSpecs } from '../network/network-plan.ts';
import type { Port } from '../openstack/neutron/ports.ts';
import type { Flavor } from '../openstack/nova/flavors.ts';
import type { AgentSettings } from '../registry/client.ts';
import type { VmPlan } from './vm-plan.ts';

const MAX_USER_DATA_CHARACTERS = 65_535;

/** As the agent reads networks: the Director's specs, with what only the cloud knows. */
export type AgentNetworks = Record<string, Record<string, unknown>>;

/** @param ports by the name of their network; dynamic networks have none */
export function agentNetworks(
  specs: NetworkSpecs,
  ports: ReadonlyMap<string, Pick<Port, 'mac_address' | 'fixed_ips'>>,
  useDhcp: boolean,
): AgentNetworks {
  const networks = Object.entries(specs).map(([name, spec]) => {
    if (spec.type === 'vip') {
      return [name, spec];
    }
    const port = ports.get(name);
    const assigned = port && !spec.ip ? { ip: port.fixed_ips[0]?.ip_address } : {};
    return [name, { ...spec, ...assigned, use_dhcp: useDhcp, ...(port ? { mac: port.mac_address } : {}) }];
  });
  return Object.fromEntries(networks);
}

/** What an agent needs at its start, from the registry or from its user data. */
export function initialSettings(
  plan: VmPlan,
  networks: AgentNetworks,
  flavor: Flavor,
  agent: CallContext['agent'],
): AgentSettings {
  return {
    vm: { name: plan.name },
    agent_id: plan.agentId,
    networks,
    disks: {
      system: '/dev/sda',
      ephemeral: flavor['OS-FLV-EXT-DATA:ephemeral'] > 0 ? '/dev/sdb' : null,
      persistent: {},
    },
    ...(plan.env ? { env: plan.env } : {}),
    ...agent,
  };
}

/**
 * The server's user data: all settings, or where to find them.
 * @returns base64
 * @throws {CloudError} when it is larger than Nova takes
 */
export function userData(
  plan: VmPlan,
  networks: AgentNetworks,
  flavor: Flavor,
  context: CallContext,
): string {
  const nameserver = nameservers(plan.networkSpecs);
  const common = {
    server: { name: plan.name },
    networks,
    ...(nameserver.length > 0 ? { dns: { nameserver } } : {}),
  };
  const document = plan.registry.isUsed
    ? { ...common, registry: { endpoint: context.registry.settings.endpoint } }
    : { ...initialSettings(plan, networks, flavor, context.agent), ...common };
  const encoded = Buffer.from(JSON.stringify(document)).toString('base64');
  if (encoded.length > MAX_USER_DATA_CHARACTERS) {
    throw new CloudError(
      `The user data of the VM has ${encoded.length} characters, OpenStack takes at most ${MAX_USER_DATA_CHARACTERS}: ` +
        'its networks, env and agent settings are too large',
    );
  }
  return encoded;
}

/** Before any port exists: a user data of the size that the real one will have. */
export function checkUserDataSize(plan: VmPlan, flavor: Flavor, context: CallContext): void {
  const placeholder = {
    mac_address: 'fa:16:3e:00:00:00',
    fixed_ips: [{ ip_address: '255.255.255.255', subnet_id: '' }],
  };
  const manual = plan.networks.privateNetworks.filter(({ type }) => type === 'manual');
  const ports = new Map(manual.map(({ name }) => [name, placeholder]));
  userData(plan, agentNetworks(plan.networkSpecs, ports, context.cloud.useDhcp), flavor, context);
}

/** Of the network that is the default for DNS first. */
function nameservers(specs: NetworkSpecs): string[] {
  const isDefault = (spec: NetworkSpecs[string]) => spec.default?.includes('dns') ?? false;
  const ordered = Object.values(specs).toSorted((a, b) => Number(isDefault(b)) - Number(isDefault(a)));
  return [...new Set(ordered.flatMap((spec) => spec.dns ?? []))];
}
