import { createHash, createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { S3Refusal } from './refusal.ts';

export interface Keys {
  region: string;
  accessKey: string;
  secretKey: string;
}

export interface SignedRequest {
  method: string;
  /** As it was sent. */
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
}

interface Claim {
  credential: string;
  signedHeaders: string;
  signature: string;
  /** `20261122T180218Z` */
  date: string;
  payloadHash: string;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';
const LONGEST_SKEW_MS = 15 * 60_000;
const EMPTY_HASH = createHash('sha256').digest('hex');

/**
 * Checks who signed a request, in its headers or its URL, in the words of Swift's s3api.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 * @returns the hash that the body must have, `UNSIGNED-PAYLOAD`, or a kind of stream
 * @throws {S3Refusal}
 */
export function verifySignature(request: SignedRequest, keys: Keys): string {
  const isPresigned = request.query.has('X-Amz-Signature');
  const claim = isPresigned ? claimOfUrl(request.query) : claimOfHeaders(request.headers);
  const [accessKey, day = '', region = '', ...scope] = claim.credential.split('/');
  if (region !== keys.region) {
    const [code, what] = isPresigned
      ? ['AuthorizationQueryParametersError', 'Error parsing the X-Amz-Credential parameter']
      : ['AuthorizationHeaderMalformed', 'The authorization header is malformed'];
    throw new S3Refusal(400, code, `${what}; the region '${region}' is wrong; expecting '${keys.region}'`);
  }
  checkTime(claim.date, isPresigned ? Number(request.query.get('X-Amz-Expires')) : undefined);
  const scopeText = [day, region, ...scope].join('/');
  const text = [ALGORITHM, claim.date, scopeText, sha256(canonical(request, claim))].join('\n');
  const signature = [day, region, 's3', 'aws4_request', text].reduce(
    (key: string | Buffer, part) => createHmac('sha256', key).update(part).digest(),
    `AWS4${keys.secretKey}`,
  );
  const isOurs =
    accessKey === keys.accessKey &&
    Buffer.isBuffer(signature) &&
    signature.toString('hex') === claim.signature;
  if (!isOurs || !claim.signedHeaders.split(';').includes('host')) {
    throw new S3Refusal(
      403,
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    );
  }
  return claim.payloadHash;
}

function claimOfUrl(query: URLSearchParams): Claim {
  const of = (name: string) => query.get(`X-Amz-${name}`) ?? '';
  return {
    credential: of('Credential'),
    signedHeaders: of('SignedHeaders'),
    signature: of('Signature'),
    date: of('Date'),
    payloadHash: 'UNSIGNED-PAYLOAD',
  };
}

function claimOfHeaders(headers: IncomingHttpHeaders): Claim {
  const authorization = headers.authorization ?? '';
  const of = (name: string) => new RegExp(`${name}=([^,\\s]+)`).exec(authorization)?.[1] ?? '';
  if (!authorization.startsWith(ALGORITHM)) {
    throw new S3Refusal(403, 'AccessDenied', 'Access Denied.');
  }
  return {
    credential: of('Credential'),
    signedHeaders: of('SignedHeaders'),
    signature: of('Signature'),
    date: String(headers['x-amz-date'] ?? ''),
    payloadHash: String(headers['x-amz-content-sha256'] ?? EMPTY_HASH),
  };
}

function checkTime(date: string, lifetimeSeconds: number | undefined): void {
  const signedAt = Date.parse(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
  const ageMs = Date.now() - signedAt;
  if (lifetimeSeconds !== undefined && ageMs > lifetimeSeconds * 1000) {
    throw new S3Refusal(403, 'AccessDenied', 'Request has expired');
  }
  if (!(Math.abs(ageMs) < LONGEST_SKEW_MS) && lifetimeSeconds === undefined) {
    throw new S3Refusal(
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
    );
  }
}

function canonical({ method, path, query, headers }: SignedRequest, claim: Claim): string {
  const parameters = [...query]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map((pair) => pair.map(encoded).join('='))
    .sort();
  const signed = claim.signedHeaders.split(';').map(
    (name) =>
      `${name}:${String(headers[name] ?? '')
        .trim()
        .replace(/\s+/g, ' ')}\n`,
  );
  return [method, path, parameters.join('&'), signed.join(''), claim.signedHeaders, claim.payloadHash].join(
    '\n',
  );
}

function encoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
