import type { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import type { NodeHttpHandlerOptions } from '@smithy/node-http-handler';

/** Who sends requests to AWS. */
export interface AwsIdentity {
  /** Undefined: as the AWS SDK finds them, in the environment, by web identity or of the instance. */
  readonly credentials: AwsCredentials | undefined;
  /** To be assumed with these credentials. */
  readonly roleArn: string | undefined;
}

export type AwsCredentials = AwsKeys | { readonly kind: 'profile'; readonly profile: string };

export interface AwsKeys {
  readonly kind: 'keys';
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

export type CredentialProvider = ReturnType<typeof fromNodeProviderChain>;
type Providers = typeof import('@aws-sdk/credential-providers');

const ROLE_SESSION = 'bosh-openstack-cpi';

/** Configured credentials, or else those that the AWS SDK finds; a role is assumed with either. */
export function credentialProvider(
  identity: AwsIdentity & { region: string | undefined },
  requestHandler: NodeHttpHandlerOptions,
): CredentialProvider {
  const clientConfig = {
    requestHandler,
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
    provider ??= import('@aws-sdk/credential-providers').then(make, notPackaged);
    return (await provider)(options);
  };
}

/** Where functions are not on AWS, nor meant to be, their packages lack what looks for credentials there. */
function notPackaged(cause: unknown): never {
  const error = new Error('nothing here can look for them', { cause });
  error.name = 'CredentialsProviderError';
  throw error;
}
