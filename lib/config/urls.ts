import type { ProxySettings } from '../http/proxy.ts';

/** In lower case; undefined for a path. */
export function schemeOf(location: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(location)?.[1]?.toLowerCase();
}

export function isHttpUrl(text: string): boolean {
  return ['http:', 'https:'].includes(URL.parse(text)?.protocol ?? '');
}

/** What is wrong with the proxies of the process's environment. */
export function environmentProblems({ httpProxy, httpsProxy }: ProxySettings): string[] {
  const isWrong = (proxy: string | undefined) =>
    proxy && !isHttpUrl(proxy.includes('://') ? proxy : `http://${proxy}`);
  return [
    ...(isWrong(httpProxy) ? ['the environment variable http_proxy must be a URL'] : []),
    ...(isWrong(httpsProxy) ? ['the environment variable https_proxy must be a URL'] : []),
  ];
}
