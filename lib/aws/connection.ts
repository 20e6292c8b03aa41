import http from 'node:http';
import https from 'node:https';
import type { NodeHttpHandlerOptions } from '@smithy/node-http-handler';
import { trustedCertificates } from '../http/agents.ts';
import { type ProxySettings, proxyFor } from '../http/proxy.ts';
import { watched } from './watched-agent.ts';

const CONNECT_TIMEOUT_MS = 10_000;

export interface AwsConnection {
  ca: string | undefined;
  proxy: ProxySettings;
  /** Undefined for AWS itself. */
  endpoint?: string | undefined;
}

/**
 * How a client of the AWS SDK is to send its requests: each on a connection of its own, since what a kept one has lost in the
 * meantime, nobody could tell.
 * @param timeoutMs until an answer begins
 * @param options.silenceMs for which nothing may move, within an answer as well; 0 for any time. Default: `timeoutMs`
 */
export function requestHandler(
  { ca, proxy, endpoint }: AwsConnection,
  timeoutMs: number,
  options: { silenceMs?: number; onConnected?: () => void } = {},
): NodeHttpHandlerOptions {
  const { silenceMs = timeoutMs, onConnected = () => {} } = options;
  const isDirect = endpoint !== undefined && proxyFor(new URL(endpoint), proxy) === undefined;
  const proxyEnv = isDirect ? {} : environmentOf(proxy);
  const certificates = ca === undefined ? {} : { ca: trustedCertificates(ca) };
  return {
    httpAgent: watched(new http.Agent({ proxyEnv }), onConnected),
    httpsAgent: watched(new https.Agent({ proxyEnv, ...certificates }), onConnected),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: timeoutMs,
    socketTimeout: silenceMs,
    throwOnRequestTimeout: true,
  };
}

/** As Node's agents read proxies. */
function environmentOf({ httpProxy, httpsProxy, noProxy }: ProxySettings): NodeJS.ProcessEnv {
  return {
    ...(httpProxy ? { HTTP_PROXY: withScheme(httpProxy) } : {}),
    ...(httpsProxy ? { HTTPS_PROXY: withScheme(httpsProxy) } : {}),
    ...(noProxy ? { NO_PROXY: noProxy } : {}),
  };
}

function withScheme(proxy: string): string {
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}
