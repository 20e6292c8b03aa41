import type { ArgumentsOf } from '../cpi/arguments/index.ts';
import { CloudError } from '../cpi/errors.ts';
import type { ResultOf } from '../cpi/methods.ts';
import type { Flavor } from '../openstack/nova/flavors.ts';

type Properties = ArgumentsOf['calculate_vm_cloud_properties'][0];
const KEYS = ['cpu', 'ram', 'ephemeral_disk_size'] as const;
/** The operating system's share of the disk. */
const SYSTEM_GIB = 3;

export interface Requirements {
  cpu: number;
  ramMib: number;
  /** Not rounded. */
  diskGib: number;
}

/** @throws {CloudError} naming what is missing */
export function requirementsOf(properties: Properties): Requirements {
  const { cpu, ram, ephemeral_disk_size: disk } = properties;
  const missing = KEYS.filter((key) => properties[key] === undefined || properties[key] === null);
  if (missing.length > 0) {
    throw new CloudError(`Missing VM cloud properties: ${missing.map((key) => `'${key}'`).join(', ')}`);
  }
  return { cpu: cpu ?? 0, ramMib: ram ?? 0, diskGib: (disk ?? 0) / 1024 };
}

/** @throws {CloudError} listing what there is, when nothing fits */
export function chooseFlavor(
  requirements: Requirements,
  flavors: Flavor[],
  isBootedFromVolume: boolean,
): ResultOf['calculate_vm_cloud_properties'] {
  const large = flavors.filter(
    (flavor) =>
      flavor.vcpus >= requirements.cpu &&
      flavor.ram >= requirements.ramMib &&
      !flavor['OS-FLV-DISABLED:disabled'],
  );
  const fitting = isBootedFromVolume
    ? large.filter((flavor) => ephemeralOf(flavor) === 0)
    : withLocalDisk(large, Math.ceil(requirements.diskGib));
  const [smallest] = fitting.toSorted(bySize);
  if (!smallest) {
    throw new CloudError(nothingFits(requirements, flavors));
  }
  const rootGib = SYSTEM_GIB + requirements.diskGib;
  return isBootedFromVolume && smallest.disk < rootGib
    ? { instance_type: smallest.name, root_disk: { size: Math.ceil(rootGib) } }
    : { instance_type: smallest.name };
}

/** Those with an ephemeral disk of their own; where there is none, those whose root disk has room for it. */
function withLocalDisk(flavors: Flavor[], diskGib: number): Flavor[] {
  const separate = flavors.filter((flavor) => ephemeralOf(flavor) >= diskGib && flavor.disk >= SYSTEM_GIB);
  return separate.length > 0
    ? separate
    : flavors.filter((flavor) => ephemeralOf(flavor) === 0 && flavor.disk >= diskGib + SYSTEM_GIB);
}

function bySize(a: Flavor, b: Flavor): number {
  const total = (flavor: Flavor) => flavor.disk + ephemeralOf(flavor);
  return a.vcpus - b.vcpus || a.ram - b.ram || total(a) - total(b) || a.disk - b.disk;
}

function ephemeralOf(flavor: Flavor): number {
  return flavor['OS-FLV-EXT-DATA:ephemeral'];
}

function nothingFits({ cpu, ramMib, diskGib }: Requirements, flavors: Flavor[]): string {
  const lines = flavors.map(
    ({ name, vcpus, ram, disk }) => `${name}: ${vcpus} CPU, ${ram} MB RAM, ${disk} GB Disk`,
  );
  return [
    `Unable to meet requested VM requirements: ${cpu} CPU, ${ramMib} MB RAM, ${diskGib} GB Disk.`,
    'Available flavors:',
    ...lines,
  ].join('\n');
}
