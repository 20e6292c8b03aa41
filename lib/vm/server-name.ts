import type { CallContext } from '../cpi/call-context.ts';
import { cut, REGISTRY_KEY } from '../cpi/metadata.ts';
import { isRegistryConfigured } from './registry-entry.ts';

/** What a VM's metadata would have it called; undefined when it says nothing. */
export function serverNameFrom({ name, job, index, compiling }: Record<string, string>): string | undefined {
  const byJob = job !== undefined && index !== undefined ? `${job}/${index}` : undefined;
  const byTask = compiling === undefined ? undefined : `compiling/${compiling}`;
  const found = name || byJob || byTask;
  return found === undefined ? undefined : cut(found);
}

/**
 * Whether the server's name is free to change: its registry entry, if any, is found by the metadata instead.
 * @param metadata all of the server's, as far as Nova told
 */
export function mayRename(vmCid: string, metadata: Record<string, string>, context: CallContext): boolean {
  if (metadata[REGISTRY_KEY] !== undefined) {
    return true;
  }
  if (!context.cloud.humanReadableVmNames) {
    return false;
  }
  if (isRegistryConfigured(context)) {
    context.log.warn(`VM with id '${vmCid}' has no 'registry_key' tag`);
    return false;
  }
  return true;
}

const OWN_NAME = /^vm-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether it is a name that create_vm gives, and nothing else. */
export function isCreatedName(name: string): boolean {
  return OWN_NAME.test(name);
}
