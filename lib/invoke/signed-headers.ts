import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { type AwsConnection, requestHandler } from '../aws/connection.ts';
import { type AwsIdentity, credentialProvider } from '../aws/credentials.ts';

const CREDENTIALS_TIMEOUT_MS = 10_000;

/** Headers that authorize a POST. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html */
export async function signedHeaders(
  request: { url: string; headers: Record<string, string>; body: string },
  signing: AwsIdentity & { region: string; service: string },
  connection: AwsConnection,
): Promise<Record<string, string>> {
  const { host, hostname, pathname, protocol, searchParams } = new URL(request.url);
  const { region, service } = signing;
  const credentials = credentialProvider(signing, requestHandler(connection, CREDENTIALS_TIMEOUT_MS));
  const signer = new SignatureV4({ region, service, credentials, sha256: Sha256 });
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
