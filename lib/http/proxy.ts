import { BlockList, isIP } from 'node:net';

/** Proxies as the environment variables of the same names give them. */
export interface ProxySettings {
  httpProxy?: string | undefined;
  httpsProxy?: string | undefined;
  /** Comma or space separated: hosts, domain suffixes, IP addresses, CIDR blocks, each optionally with a port; `*` for all. */
  noProxy?: string | undefined;
}

/** The proxy to use for a URL; undefined for a direct connection. */
export function proxyFor(url: URL, settings: ProxySettings): URL | undefined {
  const proxy = url.protocol === 'https:' ? settings.httpsProxy : settings.httpProxy;
  if (!proxy || isExempt(url, settings.noProxy ?? '')) {
    return undefined;
  }
  return new URL(proxy.includes('://') ? proxy : `http://${proxy}`);
}

function isExempt(url: URL, noProxy: string): boolean {
  const host = bare(url.hostname);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return noProxy
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => matches(entry.toLowerCase(), host, port));
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry === '*') {
    return true;
  }
  const block = /^(.+)\/(\d{1,3})$/.exec(entry);
  if (block?.[1] && block[2]) {
    return inBlock(host, bare(block[1]), Number(block[2]));
  }
  const [, name = entry, entryPort] = /^(\[.+\]|[^:]+)(?::(\d+))?$/.exec(entry) ?? [];
  if (entryPort !== undefined && entryPort !== port) {
    return false;
  }
  const domain = bare(name).replace(/^\*?\./, '');
  return isIP(host) === 0 ? host === domain || host.endsWith(`.${domain}`) : isSameAddress(host, domain);
}

/** However an IPv6 address is written. */
function isSameAddress(one: string, other: string): boolean {
  return inBlock(one, other, isIP(one) === 4 ? 32 : 128);
}

function inBlock(host: string, network: string, prefix: number): boolean {
  const family = isIP(host);
  if (family === 0 || family !== isIP(network) || prefix > (family === 4 ? 32 : 128)) {
    return false;
  }
  const list = new BlockList();
  const type = family === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(network, prefix, type);
  return list.check(host, type);
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '').toLowerCase();
}
