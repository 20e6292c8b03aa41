import type { CallContext } from '../cpi/call-context.ts';
import { CloudError } from '../cpi/errors.ts';
import { madeEarlier } from '../cpi/made-earlier.ts';
import { findFloatingIp } from '../network/floating-ip.ts';
import { findPool } from '../network/load-balancer.ts';
import { resolveSecurityGroups } from '../network/security-groups.ts';
import { checkVrrpPorts } from '../network/vrrp.ts';
import type { FloatingIp } from '../openstack/neutron/floating-ips.ts';
import type { Port } from '../openstack/neutron/ports.ts';
import type { Flavor } from '../openstack/nova/flavors.ts';
import type { Server } from '../openstack/nova/servers.ts';
import type { Pool } from '../openstack/octavia/pools.ts';
import type { VmPlan } from './vm-plan.ts';

/** What the cloud has of all that a VM needs. */
export interface FoundResources {
  /** Ids; names where the cloud has no network service. */
  securityGroups: readonly string[];
  flavor: Flavor;
  floatingIp: FloatingIp | undefined;
  pools: Map<string, Pool>;
  hasNetworkService: boolean;
  /** From an earlier attempt of the same call. */
  earlier: { server: Server | undefined; ports: Port[] };
}

/** Looks everything up at once, so that nothing is made when something is missing. */
export async function lookUp(plan: VmPlan, context: CallContext): Promise<FoundResources> {
  const { openstack } = context;
  const hasNetworkService = await openstack.session.hasService('network');
  if (!hasNetworkService) {
    refuseNetworkFeatures(plan);
  }
  const { vipAddress } = plan.networks;
  const poolNames = [...new Set(plan.pools.map(({ name }) => name))];
  const [securityGroups, , flavor, , floatingIp, pools, , server, ports] = await allInOrder([
    hasNetworkService ? resolveSecurityGroups(plan.securityGroups, openstack) : plan.securityGroups,
    checkImage(plan, context),
    findFlavor(plan, context),
    checkKeyPair(plan.keyName, context),
    vipAddress ? findFloatingIp(vipAddress, openstack) : undefined,
    Promise.all(poolNames.map((name) => findPool(name, openstack))),
    plan.arePairsChecked ? checkVrrpPorts(plan.addressPairs, openstack) : undefined,
    madeEarlier(() => openstack.servers.adopt(plan.name), context),
    hasNetworkService ? earlierPorts(plan, context) : [],
  ]);
  return {
    securityGroups,
    flavor,
    floatingIp,
    pools: new Map(pools.map((pool) => [pool.name, pool])),
    hasNetworkService,
    earlier: { server, ports },
  };
}

async function checkImage({ imageId, stemcellCid }: VmPlan, { openstack }: CallContext): Promise<void> {
  const image = await openstack.images.find(imageId);
  if (!image) {
    throw new CloudError(`Image \`${stemcellCid}' not found`);
  }
  if (image.status !== 'active') {
    throw new CloudError(`Image \`${stemcellCid}' is not active, its status is ${image.status}`);
  }
}

/** By name; by id where no name fits. */
async function findFlavor(
  { instanceType, bootVolume }: VmPlan,
  { openstack, log }: CallContext,
): Promise<Flavor> {
  const flavors = await openstack.flavors.list();
  const flavor =
    flavors.find(({ name }) => name === instanceType) ?? flavors.find(({ id }) => id === instanceType);
  if (!flavor) {
    throw new CloudError(`Flavor \`${instanceType}' not found`);
  }
  if (bootVolume && bootVolume.size === undefined && flavor.disk === 0) {
    throw new CloudError(
      `Flavor '${flavor.name}' has a root disk size of 0. Either pick a different flavor or define root_disk.size ` +
        'in your VM cloud_properties',
    );
  }
  const ephemeral = flavor['OS-FLV-EXT-DATA:ephemeral'];
  const wanted = 2 * Math.floor(flavor.ram / 1024);
  if (ephemeral > 0 && ephemeral < wanted) {
    log.warn(`Flavor \`${instanceType}' should have at least ${wanted}Gb of ephemeral disk`);
  }
  return flavor;
}

async function checkKeyPair(name: string | undefined, { openstack }: CallContext): Promise<void> {
  if (name !== undefined && !(await openstack.keyPairs.find(name))) {
    throw new CloudError(`Key-pair \`${name}' not found`);
  }
}

async function earlierPorts({ name, networks }: VmPlan, context: CallContext): Promise<Port[]> {
  if (!networks.privateNetworks.some(({ type }) => type === 'manual')) {
    return [];
  }
  const found = await madeEarlier(async () => {
    const ports = (await context.openstack.ports.list({ name })).filter((port) => port.name === name);
    return ports.length > 0 ? ports : undefined;
  }, context);
  return found ?? [];
}

function refuseNetworkFeatures(plan: VmPlan): void {
  const features = [
    plan.networks.vipAddress ? 'floating IPs' : '',
    plan.addressPairs.length > 0 ? 'VRRP' : '',
    plan.pools.length > 0 ? 'load balancer pools' : '',
  ].filter((feature) => feature !== '');
  if (features.length > 0) {
    throw new CloudError(`OpenStack catalog has no network service, needed for ${features.join(', ')}`);
  }
}

/** Waits for all, then reports the first failure in the order given: messages do not depend on timing. */
async function allInOrder<T extends readonly unknown[] | []>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises);
  for (const promise of promises) {
    await promise;
  }
  return Promise.all(promises);
}
