import http from 'node:http';
import https from 'node:https';
import { Sha256 } from '@aws-crypto/sha256-js';
import type { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { SignatureV4 } from '@smithy/signature-v4';
import type { AwsCredentials, AwsIdentity } from '../config/invoker.ts';
import { trustedCertificates } from '../http/agents.ts';
import { type ProxySettings, proxyFor } from '../http/proxy.ts';
import { watched } from './watched-agent.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const ROLE_SESSION = 'bosh-openstack-cpi';

export interface AwsConnection {
  ca: string | undefined;
  proxy: ProxySettings;
  /** Undefined for AWS itself. */
  endpoint?: string | undefined;
}

type CredentialProvider = ReturnType<typeof fromNodeProviderChain>;
type Providers = typeof import('@aws-sdk/credential-providers');

/** Sends the SDK's requests, each on a connection of its own: what a kept one has lost in the meantime, nobody could tell. */
export function requestHandler(
  { ca, proxy, endpoint }: AwsConnection,
  timeoutMs: number,
  onConnected: () => void = () => {},
): NodeHttpHandler {
  const isDirect = endpoint !== undefined && proxyFor(new URL(endpoint), proxy) === undefined;
  const proxyEnv = isDirect ? {} : environmentOf(proxy);
  const certificates = ca === undefined ? {} : { ca: trustedCertificates(ca) };
  return new NodeHttpHandler({
    httpAgent: watched(new http.Agent({ proxyEnv }), onConnected),
    httpsAgent: watched(new https.Agent({ proxyEnv, ...certificates }), onConnected),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    throwOnRequestTimeout: true,
  });
}

/** Configured credentials, or else those that the AWS SDK finds; a role is assumed with either. */
export function credentialProvider(
  identity: AwsIdentity & { region: string | undefined },
  handler: NodeHttpHandler,
): CredentialProvider {
  const clientConfig = {
    requestHandler: handler,
    ...(identity.region === undefined ? {} : { region: identity.region }),
  };
  const own = ownCredentials(identity.credentials, clientConfig);
  const { roleArn } = identity;
  return roleArn === undefined
    ? own
    : provided(({ fromTemporaryCredentials }) =>
        fromTemporaryCredentials({
          params: { RoleArn: roleArn, RoleSessionName: ROLE_SESSION },
          masterCredentials: own,
          clientConfig,
        }),
      );
}

type ClientConfig = NonNullable<Parameters<typeof fromNodeProviderChain>[0]>['clientConfig'];

function ownCredentials(
  credentials: AwsCredentials | undefined,
  clientConfig: ClientConfig,
): CredentialProvider {
  if (credentials?.kind === 'keys') {
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    return async () => ({ accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) });
  }
  return provided(({ fromIni, fromNodeProviderChain }) =>
    credentials
      ? fromIni({ profile: credentials.profile, clientConfig })
      : fromNodeProviderChain({ clientConfig }),
  );
}

/** One of the SDK's providers, which are loaded only where the configuration has no keys. */
function provided(make: (providers: Providers) => CredentialProvider): CredentialProvider {
  let provider: Promise<CredentialProvider> | undefined;
  return async (options) => {
    provider ??= import('@aws-sdk/credential-providers').then(make);
    return (await provider)(options);
  };
}

/** Headers that authorize a POST. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html */
export async function signedHeaders(
  request: { url: string; headers: Record<string, string>; body: string },
  signing: { region: string; service: string; credentials: CredentialProvider },
): Promise<Record<string, string>> {
  const { host, hostname, pathname, protocol, searchParams } = new URL(request.url);
  const signer = new SignatureV4({ ...signing, sha256: Sha256 });
  const signed = await signer.sign({
    method: 'POST',
    protocol,
    hostname,
    path: pathname,
    query: Object.fromEntries(searchParams),
    headers: { ...request.headers, host },
    body: request.body,
  });
  const { host: _, ...headers } = signed.headers;
  return headers;
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
