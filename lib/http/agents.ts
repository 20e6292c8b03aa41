import http from 'node:http';
import https from 'node:https';
import tls from 'node:tls';
import type { ConnectionSettings } from './connection-settings.ts';

/** Connections for URLs of one protocol, with the operator's certificates. */
export function createAgent(
  protocol: string,
  keepAlive: boolean,
  settings: ConnectionSettings,
): http.Agent | https.Agent {
  if (protocol !== 'https:') {
    return new http.Agent({ keepAlive });
  }
  return settings.verifyPeer
    ? new https.Agent({ keepAlive, ca: trustedCertificates(settings.ca) })
    : new https.Agent({ keepAlive, rejectUnauthorized: false });
}

/** Node's own roots, the machine's (where the operator's stemcell keeps a company's CA), and the configured ones. */
export function trustedCertificates(ca: string | undefined): string[] {
  const system = typeof tls.getCACertificates === 'function' ? tls.getCACertificates('system') : [];
  return [...new Set([...tls.rootCertificates, ...system, ...(ca ? [ca] : [])])];
}
