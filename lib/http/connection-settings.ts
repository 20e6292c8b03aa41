import type { ProxySettings } from './proxy.ts';

/** How to reach servers. Times are in milliseconds and count idleness, not totals: an upload that moves may take hours. */
export interface ConnectionSettings {
  connectTimeoutMs: number;
  readTimeoutMs: number;
  writeTimeoutMs: number;
  verifyPeer: boolean;
  /** PEM certificates that are trusted beside the system's. */
  ca?: string | undefined;
  proxy: ProxySettings;
}
