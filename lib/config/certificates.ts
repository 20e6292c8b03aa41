import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isRecord } from '../json.ts';

export interface Certificates {
  /** PEM text. */
  pem: string | undefined;
  problems: string[];
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * Certificates to trust beside the system's, from the configuration itself or from a file; an empty text means none.
 * @param path of the options, for messages
 */
export function certificates(path: string, options: unknown): Certificates {
  const { ca_cert: text, ssl_ca_file: file } = isRecord(options) ? options : {};
  const inline = typeof text === 'string' ? text.trim() : '';
  if (inline) {
    return checkedPem(`${path}.ca_cert`, inline);
  }
  if (typeof file !== 'string' || file === '') {
    return { pem: undefined, problems: [] };
  }
  const property = `${path}.ssl_ca_file`;
  try {
    const content = readFileSync(file, 'utf8').trim();
    return content ? checkedPem(property, content) : { pem: undefined, problems: [] };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { pem: undefined, problems: [`${property} must be a readable file: ${reason}`] };
  }
}

function checkedPem(property: string, pem: string): Certificates {
  const blocks = pem.match(CERTIFICATE) ?? [];
  return blocks.length > 0 && blocks.every(isCertificate)
    ? { pem, problems: [] }
    : { pem: undefined, problems: [`${property} must be one or more certificates in PEM format`] };
}

function isCertificate(block: string): boolean {
  try {
    new X509Certificate(block);
    return true;
  } catch {
    return false;
  }
}
