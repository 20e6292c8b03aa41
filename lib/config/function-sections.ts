import type { InvokerSettings } from './invoker.ts';

/** What functions are told by the binary's file; they have the rest of their own, and never need the binary's. */
const SECTIONS = ['agent', 'registry', 'retry_config', 'openstack'];

/** The part of `cloud.properties` that goes with a request to a function of this target. */
export function sectionsForFunction(
  properties: Record<string, unknown>,
  target: InvokerSettings['target'],
): Record<string, unknown> {
  if (target === 'local') {
    return properties;
  }
  const kept = SECTIONS.filter((name) => properties[name] !== undefined && properties[name] !== null);
  return Object.fromEntries(kept.map((name) => [name, properties[name]]));
}
