import type { ProxySettings } from '../http/proxy.ts';

/** The proxies that the process was started with, in either case of the names. */
export function proxyEnvironment(environment: NodeJS.ProcessEnv = process.env): ProxySettings {
  return {
    httpProxy: environment.http_proxy ?? environment.HTTP_PROXY,
    httpsProxy: environment.https_proxy ?? environment.HTTPS_PROXY,
    noProxy: environment.no_proxy ?? environment.NO_PROXY,
  };
}

/** How the server that hosts functions was told to run. `PORT` is what Knative sets. */
export function serverEnvironment(environment: NodeJS.ProcessEnv = process.env): {
  token: string | undefined;
  port: string | undefined;
} {
  return { token: environment.CPI_SERVE_TOKEN, port: environment.PORT };
}

/** Where a deployed function was told to find its own configuration: the name of a parameter, or JSON. */
export interface ConfigurationEnvironment {
  parameter: string | undefined;
  json: string | undefined;
}

export function configurationEnvironment(
  environment: NodeJS.ProcessEnv = process.env,
): ConfigurationEnvironment {
  return {
    parameter: environment.CPI_CONFIG_PARAMETER || undefined,
    json: environment.CPI_CONFIG || undefined,
  };
}
