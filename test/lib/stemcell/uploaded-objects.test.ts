import { afterEach, describe, expect, it } from 'vitest';
import { CloudError } from '#lib/cpi/errors.ts';
import { ConnectionError } from '#lib/http/errors.ts';
import {
  AuthenticationError,
  httpError,
  ServiceUnreachableError,
  WaitTimeoutError,
} from '#lib/openstack/errors.ts';
import { ObjectNotFoundError, S3Error } from '#lib/s3/errors.ts';
import { SourceError } from '#lib/stemcell/source.ts';
import { TakenOverError } from '#lib/stemcell/upload-status.ts';
import { dealWithEach, UntoldError } from '#lib/stemcell/uploaded-objects.ts';
import { callContext } from '../support/call-context.ts';

const IMAGE_ID = '7f2d1c3a-5b4e-4f60-8a9b-0c1d2e3f4a5b';
const bucket = 'stemcells';
const a = { bucket, key: 'a.tgz' };
const b = { bucket, key: 'b.tgz' };
const c = { bucket, key: 'c.tgz' };
const NOT_THERE = new ConnectionError(
  { method: 'GET', url: 'http://192.0.2.1/', requestSent: false, certificateRefused: false },
  'connect ECONNREFUSED',
  undefined,
);

let close: (() => void) | undefined;

afterEach(() => close?.());

function answer(status: number): Error {
  const exchange = { method: 'PUT', service: 'image', path: '/v2/images/1/file' };
  return httpError(exchange, { status, reason: '', headers: {}, text: '' }, 1);
}

/** Deals with the objects; uploads fail as they are told to. */
async function deal(objects: Parameters<typeof dealWithEach>[0], failures: Record<string, unknown> = {}) {
  const stage = callContext();
  ({ close } = stage);
  const tried: string[] = [];
  const upload = async ({ key }: { key: string }) => {
    tried.push(key);
    if (key in failures) {
      throw failures[key];
    }
    return { imageId: IMAGE_ID };
  };
  const result = await dealWithEach(objects, upload, stage.context).catch((error: unknown) => error);
  return { result, tried, lines: stage.lines };
}

function s3Error(isRetryable: boolean, status?: number): S3Error {
  return new S3Error('S3 GET', { status, code: 'AnyCode', isRetryable });
}

function gone(): ObjectNotFoundError {
  return new ObjectNotFoundError('gone', { status: 404, code: 'NoSuchKey', isRetryable: false });
}

describe('the objects of an event', () => {
  it('are dealt with in their order, one after the other', async () => {
    const { result, tried } = await deal([b, a]);

    expect(result).toEqual([
      { ...b, state: 'active', image_id: IMAGE_ID },
      { ...a, state: 'active', image_id: IMAGE_ID },
    ]);
    expect(tried).toEqual(['b.tgz', 'a.tgz']);
  });

  it('may be none', async () => {
    expect(await deal([])).toEqual({ result: [], tried: [], lines: [] });
  });

  it('are not touched where they are no stemcells', async () => {
    const { result, tried, lines } = await deal([
      { bucket, key: 'light/light-a.tgz', event: 'ObjectCreated:Put' },
      { ...b, event: 'ObjectRemoved:Delete' },
      { ...c, event: 'ObjectCreated:Copy' },
    ]);

    expect(result).toEqual([
      { bucket, key: 'light/light-a.tgz', state: 'ignored', reason: 'it is a light stemcell' },
      { ...b, state: 'ignored', reason: 'it tells of ObjectRemoved:Delete, not of ObjectCreated' },
      { ...c, state: 'active', image_id: IMAGE_ID },
    ]);
    expect(tried).toEqual(['c.tgz']);
    expect(lines[0]).toBe('INFO object light/light-a.tgz of stemcells ignored: it is a light stemcell');
  });

  it.each([
    ['a bad file', new CloudError('Root image is missing from stemcell archive')],
    ['a quota', answer(413)],
    ['a quota that an archive met', new CloudError('no space', { cause: answer(403) })],
    ['an object that is gone', gone()],
    ['an object that cannot be read', s3Error(false, 412)],
    ['a source that is not there', new SourceError('s3://b/k', 'no such key', { isRetryable: false })],
  ])('fail for good of %s, which keeps no other from being done', async (_, error) => {
    const { result, lines } = await deal([a, b, c], { 'b.tgz': error });

    expect(result).toEqual([
      { ...a, state: 'active', image_id: IMAGE_ID },
      { ...b, state: 'failed', reason: error.message },
      { ...c, state: 'active', image_id: IMAGE_ID },
    ]);
    expect(lines).toEqual([expect.stringMatching(/^ERROR stemcell b\.tgz of stemcells failed: /)]);
  });

  it.each([
    ['a server that is in trouble', answer(503)],
    ['too many requests', answer(429)],
    ['a token that has ended', new CloudError('broken off', { cause: answer(401) })],
    ['OpenStack that is not there', new ServiceUnreachableError('Image', 'http://192.0.2.1', NOT_THERE)],
    ['credentials that are refused', new AuthenticationError('Keystone refused the credentials')],
    ['a wait that takes too long', new WaitTimeoutError('Image', IMAGE_ID, ['active'])],
    ['a store that is in trouble', s3Error(true)],
    ['a refusal that no status tells', new UntoldError(s3Error(false, 403))],
    ['a source that is in trouble', new SourceError('s3://b/k', 'no answer', { isRetryable: true })],
    [
      'another event that has begun the same',
      new TakenOverError('Another attempt has begun this upload anew'),
    ],
    ['an archive that broke off', new CloudError('broken off', { cause: s3Error(true) })],
  ])('come again after %s, once the others are done', async (_, error) => {
    const { result, tried, lines } = await deal([a, b, c], { 'a.tgz': error });

    expect(result).toBeInstanceOf(CloudError);
    expect(result).toMatchObject({ message: error.message, cause: error });
    expect(tried).toEqual(['a.tgz', 'b.tgz', 'c.tgz']);
    expect(lines).toEqual([
      'WARN stemcell a.tgz of stemcells is not dealt with yet, its event is to come again',
    ]);
  });

  it('come again with all reasons for it', async () => {
    const { result } = await deal([a, b, c], {
      'a.tgz': new AuthenticationError('refused'),
      'b.tgz': new CloudError('a bad file'),
      'c.tgz': s3Error(true),
    });

    expect(result).toMatchObject({ message: 'refused; S3 GET' });
  });

  it('show a defect as what it is, once the others are done', async () => {
    const defect = new TypeError('undefined is not a function');

    const { result, tried } = await deal([a, b, c], { 'a.tgz': s3Error(true), 'b.tgz': defect });

    expect(result).toBe(defect);
    expect(tried).toEqual(['a.tgz', 'b.tgz', 'c.tgz']);
  });
});
