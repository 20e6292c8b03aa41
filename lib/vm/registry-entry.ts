import type { CallContext } from '../cpi/call-context.ts';
import { CpiError } from '../cpi/errors.ts';
import { REGISTRY_KEY } from '../cpi/metadata.ts';
import { isRecord } from '../json.ts';
import type { Server } from '../openstack/nova/servers.ts';
import type { Registry } from '../registry/client.ts';
import { noRegistry } from '../registry/noop.ts';

/**
 * The registry, where this VM's agent reads it: its stemcell, or the request, is of API version 1.
 * @param isRequired whether the call is useless without the registry; otherwise its step is left out
 * @throws {CpiError} when it is needed and not configured
 */
export function registryFor(context: CallContext, { isRequired }: { isRequired: boolean }): Registry {
  const { request, registry, log } = context;
  const stemcellVersion = request.apiVersion === 1 ? 1 : request.stemcellApiVersion;
  if (stemcellVersion !== undefined && stemcellVersion >= 2) {
    return noRegistry;
  }
  const { endpoint, user, password } = registry.settings;
  if (endpoint && user && password) {
    return registry.connect({ endpoint, user, password });
  }
  if (stemcellVersion === undefined) {
    log.warn(
      'the stemcell has no API version and no registry is configured: its agent is taken for a new one',
    );
    return noRegistry;
  }
  if (isRequired) {
    throw new CpiError(
      `Invalid CPI properties. Used CPI API version is ${request.apiVersion} and stemcell API version is ` +
        `${request.stemcellApiVersion ?? 1}. Since at least one API version is 1, the registry has to be configured. ` +
        `Error: key not found: "${missingKey(registry.settings)}"`,
    );
  }
  return noRegistry;
}

export function isRegistryConfigured({ registry }: CallContext): boolean {
  return missingKey(registry.settings) === undefined;
}

/** Under which a VM's settings are kept: its first name, which its metadata remembers where VMs are renamed. */
export function registryKey(server: Server): string {
  return server.metadata[REGISTRY_KEY] ?? server.name;
}

/** Tells the agent's settings which device a persistent disk has; undefined forgets the disk. */
export async function updatePersistentDisk(
  registry: Registry,
  server: Server,
  diskCid: string,
  device: string | undefined,
): Promise<void> {
  const key = registryKey(server);
  const settings = await registry.read(key);
  const disks = hash(settings.disks);
  const { [diskCid]: _, ...others } = hash(disks.persistent);
  const persistent = device === undefined ? others : { ...others, [diskCid]: device };
  await registry.update(key, { ...settings, disks: { ...disks, persistent } });
}

function missingKey(settings: CallContext['registry']['settings']): string | undefined {
  if (Object.keys(settings).length === 0) {
    return 'registry';
  }
  const required = ['endpoint', 'user', 'password'] as const;
  return required.find((key) => !settings[key]);
}

/** A missing level counts as an empty one. */
function hash(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}
