import type { ProxySettings } from '../http/proxy.ts';

/** The proxies that the process was started with, in either case of the names. */
export function proxyEnvironment(environment: NodeJS.ProcessEnv = process.env): ProxySettings {
  return {
    httpProxy: environment.http_proxy ?? environment.HTTP_PROXY,
    httpsProxy: environment.https_proxy ?? environment.HTTPS_PROXY,
    noProxy: environment.no_proxy ?? environment.NO_PROXY,
  };
}
