import type { Logger } from '../log/logger.ts';

const MAX_CHARACTERS = 255;
/** Whatever Nova refuses in a metadata key. */
const FORBIDDEN_IN_KEYS = /[^A-Za-z0-9\-_:. ]/g;

/**
 * Metadata as OpenStack stores it: strings of at most 255 characters. Entries without key or value are dropped.
 * @param input what the Director sends: values of any JSON type
 */
export function formatMetadata(input: Record<string, unknown>): Record<string, string> {
  const entries = Object.entries(input)
    .filter(([key, value]) => key !== '' && value !== null && value !== undefined)
    .map(([key, value]) => [cut(key.replace(FORBIDDEN_IN_KEYS, '_')), cut(plainText(value))]);
  return Object.fromEntries(entries);
}

/** What the CPI itself keeps in a server's metadata. */
export const REGISTRY_KEY = 'registry_key';
export const INVOCATION_KEY = 'bosh_cpi_invocation';
export const POOL_KEY_PREFIX = 'lbaas_pool_';

/** Metadata for a server, without the keys that are the CPI's own. */
export function formatServerMetadata(input: Record<string, unknown>, log: Logger): Record<string, string> {
  const formatted = Object.entries(formatMetadata(input));
  const reserved = formatted.filter(([key]) => isReserved(key)).map(([key]) => key);
  if (reserved.length > 0) {
    log.warn(`metadata ${reserved.join(', ')} not set: the CPI keeps these itself`);
  }
  return Object.fromEntries(formatted.filter(([key]) => !isReserved(key)));
}

function isReserved(key: string): boolean {
  return key === REGISTRY_KEY || key === INVOCATION_KEY || key.startsWith(POOL_KEY_PREFIX);
}

/** At most 255 characters, none of them half. */
export function cut(text: string): string {
  return [...text].slice(0, MAX_CHARACTERS).join('');
}

/** Numbers and booleans plainly, objects and arrays as JSON. */
export function plainText(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
