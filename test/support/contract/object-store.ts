import { createHash, randomUUID } from 'node:crypto';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { afterAll, describe, expect, it } from 'vitest';
import type { S3Description } from '../cloud.ts';

interface S3Request {
  method: string;
  key?: string;
  bucket?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: string;
  /** Signs the URL instead of the headers, for so many seconds. */
  presignedSeconds?: number;
  signedAt?: Date;
  keys?: Partial<S3Description>;
}

interface S3Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Of an error. */
  code: string | undefined;
}

const HELLO = 'hello';
const MD5_OF_HELLO = '5d41402abc4b2a76b9719d911017c592';
const AN_HOUR_MS = 3_600_000;

/** What any S3 of our tests has to do, real or embedded. Leaves nothing behind. */
export function describeObjectStoreContract(name: string, s3: S3Description): void {
  describe(`contract of ${name}`, () => {
    const prefix = `contract-${randomUUID()}/`;

    afterAll(async () => {
      for (const key of keysIn(await list())) {
        await send({ method: 'DELETE', key });
      }
    });

    async function send(request: S3Request): Promise<S3Answer> {
      const { method, key, bucket = 'bosh', query = {}, body } = request;
      const { endpoint, region, access_key, secret_key } = { ...s3, ...request.keys };
      const url = new URL(endpoint);
      const signer = new SignatureV4({
        service: 's3',
        region,
        credentials: { accessKeyId: access_key, secretAccessKey: secret_key },
        uriEscapePath: false,
        applyChecksum: false,
        sha256: Sha256,
      });
      const path = `/${[bucket, ...(key?.split('/') ?? [])].map(encodeURIComponent).join('/')}`;
      const unsigned = {
        method,
        protocol: url.protocol,
        hostname: url.hostname,
        path,
        query,
        headers: { host: url.host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', ...request.headers },
      };
      const signingDate = request.signedAt ?? new Date();
      const signed =
        request.presignedSeconds === undefined
          ? await signer.sign(unsigned, { signingDate })
          : await signer.presign(unsigned, { signingDate, expiresIn: request.presignedSeconds });
      const search = new URLSearchParams();
      for (const [parameter, value] of Object.entries(signed.query ?? {})) {
        search.set(parameter, String(value));
      }
      const response = await fetch(`${url.origin}${path}?${search}`, {
        method,
        headers: signed.headers,
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      const code = /<Code>(\w+)<\/Code>/.exec(text)?.[1];
      return { status: response.status, headers: response.headers, text, code };
    }

    const put = (key: string, more: Partial<S3Request> = {}) =>
      send({ method: 'PUT', key: `${prefix}${key}`, body: HELLO, ...more });
    const get = (key: string, headers: Record<string, string> = {}) =>
      send({ method: 'GET', key: `${prefix}${key}`, headers });
    const list = (query: Record<string, string> = {}) =>
      send({ method: 'GET', query: { 'list-type': '2', prefix, ...query } });

    it('keeps an object with the MD5 of its bytes as ETag', async () => {
      const made = await put('a');

      const read = await get('a');
      const head = await send({ method: 'HEAD', key: `${prefix}a` });

      expect([made.status, made.headers.get('etag')]).toEqual([200, `"${MD5_OF_HELLO}"`]);
      expect([read.status, read.text]).toEqual([200, HELLO]);
      for (const { headers } of [read, head]) {
        expect(headers.get('etag')).toBe(`"${MD5_OF_HELLO}"`);
        expect(headers.get('content-length')).toBe('5');
        expect(headers.get('content-type')).toMatch(/^text\/plain/);
        const ageMs = Date.parse(headers.get('date') ?? '') - Date.parse(headers.get('last-modified') ?? '');
        expect(Math.abs(ageMs)).toBeLessThan(60_000);
      }
      expect([head.status, head.text]).toEqual([200, '']);
    });

    it('keeps any key', async () => {
      const key = `${prefix}ä b+c&<d>`;

      await send({ method: 'PUT', key, body: HELLO });

      expect((await send({ method: 'GET', key })).text).toBe(HELLO);
      expect(keysIn(await list())).toContain(key);
    });

    it('gives the rest from a byte on', async () => {
      await put('a');

      const rest = await get('a', { range: 'bytes=2-' });
      const beyond = await get('a', { range: 'bytes=5-' });

      expect([rest.status, rest.text, rest.headers.get('content-range')]).toEqual([
        206,
        'llo',
        'bytes 2-4/5',
      ]);
      expect([beyond.status, beyond.code]).toEqual([416, 'InvalidRange']);
    });

    it('gives an object only as it was, where asked so', async () => {
      await put('a');

      const same = await get('a', { 'if-match': `"${MD5_OF_HELLO}"`, range: 'bytes=1-' });
      const other = await get('a', { 'if-match': '"0"' });

      expect([same.status, same.text]).toEqual([206, 'ello']);
      expect([other.status, other.code]).toEqual([412, 'PreconditionFailed']);
    });

    it('says what is missing', async () => {
      const key = await get('missing');
      const head = await send({ method: 'HEAD', key: `${prefix}missing` });
      const bucket = await send({ method: 'GET', bucket: `missing-${randomUUID()}`, key: 'a' });

      expect([key.status, key.code]).toEqual([404, 'NoSuchKey']);
      expect([head.status, head.text]).toEqual([404, '']);
      expect([bucket.status, bucket.code]).toEqual([404, 'NoSuchBucket']);
    });

    it('deletes an object, and one that is gone', async () => {
      await put('deleted');

      const statuses = [1, 2].map(() => send({ method: 'DELETE', key: `${prefix}deleted` }));

      expect((await Promise.all(statuses)).map(({ status }) => status)).toEqual([204, 204]);
      expect((await get('deleted')).status).toBe(404);
    });

    it('lists by prefix, in pages', async () => {
      await put('list/1');
      await put('list/2');
      await put('list/3');

      const first = await list({ prefix: `${prefix}list/`, 'max-keys': '2' });
      const token = /<NextContinuationToken>(.+)<\/NextContinuationToken>/.exec(first.text)?.[1] ?? '';
      const second = await list({
        prefix: `${prefix}list/`,
        'max-keys': '2',
        'continuation-token': token,
      });

      expect(keysIn(first)).toEqual([`${prefix}list/1`, `${prefix}list/2`]);
      expect(first.text).toContain('<IsTruncated>true</IsTruncated>');
      expect(first.text).toMatch(
        new RegExp(`<ETag>(&quot;|")${MD5_OF_HELLO}(&quot;|")</ETag><Size>5</Size>`),
      );
      expect(keysIn(second)).toEqual([`${prefix}list/3`]);
      expect(second.text).toContain('<IsTruncated>false</IsTruncated>');
      expect(keysIn(await list({ prefix: `${prefix}nothing/` }))).toEqual([]);
    });

    it('takes an object at a URL that is signed for it, for a while', async () => {
      const signed = await put('signed', { presignedSeconds: 60 });
      const expired = await put('expired', {
        presignedSeconds: 60,
        signedAt: new Date(Date.now() - AN_HOUR_MS),
      });
      const wrong = await put('wrong', { presignedSeconds: 60, keys: { secret_key: 'another' } });
      const foreign = await put('wrong', { presignedSeconds: 60, keys: { region: 'eu-central-1' } });

      expect(signed.status).toBe(200);
      expect((await get('signed')).text).toBe(HELLO);
      expect([expired.status, expired.code]).toEqual([403, 'AccessDenied']);
      expect([wrong.status, wrong.code]).toEqual([403, 'SignatureDoesNotMatch']);
      expect([foreign.status, foreign.code]).toEqual([400, 'AuthorizationQueryParametersError']);
      expect((await get('expired')).status).toBe(404);
    });

    it.each([
      ['a wrong secret', { keys: { secret_key: 'another' } }, 403, 'SignatureDoesNotMatch'],
      ['an unknown access key', { keys: { access_key: 'another' } }, 403, 'SignatureDoesNotMatch'],
      ['another region', { keys: { region: 'eu-central-1' } }, 400, 'AuthorizationHeaderMalformed'],
      ['an old signature', { signedAt: new Date(Date.now() - AN_HOUR_MS) }, 403, 'RequestTimeTooSkewed'],
    ])('refuses %s', async (_, more, status, code) => {
      const answer = await send({ method: 'GET', key: `${prefix}a`, ...more });

      expect([answer.status, answer.code]).toEqual([status, code]);
    });

    it.each([
      [
        'a checksum behind a stream',
        {
          'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
          'x-amz-trailer': 'x-amz-checksum-crc32',
          'content-encoding': 'aws-chunked',
        },
      ],
      ['signatures within a stream', { 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' }],
      ['to make an object only where there is none', { 'if-none-match': '*' }],
      ['to replace an object only as it was', { 'if-match': `"${MD5_OF_HELLO}"` }],
    ])('is not able to take %s', async (_, headers) => {
      const answer = await put('refused', { headers });

      expect([answer.status, answer.code]).toEqual([501, 'NotImplemented']);
    });

    it('refuses a body that is not what its hash says', async () => {
      const sha256 = createHash('sha256').update('other').digest('hex');

      const answer = await put('refused', { headers: { 'x-amz-content-sha256': sha256 } });

      expect([answer.status, answer.code]).toEqual([400, 'BadDigest']);
      expect((await get('refused')).status).toBe(404);
    });
  });
}

function keysIn({ text }: S3Answer): string[] {
  return [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) =>
    key.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'),
  );
}
