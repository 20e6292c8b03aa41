import { describe, expect, it } from 'vitest';
import { CpiError } from '#lib/cpi/errors.ts';
import { objectEvents, whyIgnored } from '#lib/stemcell/stemcell-event.ts';
import { awsEvent, cephEvent, minioEvent, TEST_EVENT } from '../../support/store-events.ts';

const STORES = [
  ['AWS S3', awsEvent],
  ['MinIO', minioEvent],
  ['Ceph', cephEvent],
] as const;

function keyIn(event: object): unknown {
  return JSON.parse(JSON.stringify(event)).Records[0].s3.object.key;
}

function refusal(event: unknown): unknown {
  try {
    return objectEvents(event);
  } catch (error) {
    expect(error).toBeInstanceOf(CpiError);
    return error instanceof Error ? error.message : '';
  }
}

describe.each(STORES)('an event of %s', (_, storeEvent) => {
  it('names the objects that it tells of, and what happened to them', () => {
    const event = storeEvent(
      {
        bucket: 'stemcells',
        key: 'bosh-stemcell-1.390-openstack-kvm-ubuntu-jammy.tgz',
        event: 'ObjectCreated:Put',
      },
      { bucket: 'other', key: 'some/folder/old.tgz', event: 'ObjectRemoved:Delete' },
    );

    expect(objectEvents(event)).toEqual([
      {
        bucket: 'stemcells',
        key: 'bosh-stemcell-1.390-openstack-kvm-ubuntu-jammy.tgz',
        event: 'ObjectCreated:Put',
      },
      { bucket: 'other', key: 'some/folder/old.tgz', event: 'ObjectRemoved:Delete' },
    ]);
  });

  it.each([
    'a/b.tgz',
    'with blanks.tgz',
    'a+b.tgz',
    '100%.tgz',
    'a%2Fb.tgz',
    'größe/日本.tgz',
    'a=b&c?d#e.tgz',
  ])('has the key %s as it is in the store', (key) => {
    expect(objectEvents(storeEvent({ bucket: 'b', key }))).toMatchObject([{ key }]);
  });

  it('may tell of nothing', () => {
    expect(objectEvents(storeEvent())).toEqual([]);
  });
});

describe('events', () => {
  it('have keys as the stores encode them', () => {
    const happening = { bucket: 'b', key: 'my stemcells/a+b.tgz' };

    expect(STORES.map(([, storeEvent]) => keyIn(storeEvent(happening)))).toEqual([
      'my+stemcells/a%2Bb.tgz',
      'my+stemcells%2Fa%2Bb.tgz',
      'my stemcells/a+b.tgz',
    ]);
  });

  it('may come from stores that do not encode keys, where these show it', () => {
    const event = {
      Records: [
        { eventName: 'ObjectCreated:Put', s3: { bucket: { name: 'b' }, object: { key: '100%.tgz' } } },
      ],
    };

    expect(objectEvents(event)).toEqual([{ bucket: 'b', key: '100%.tgz', event: 'ObjectCreated:Put' }]);
  });

  it('by which S3 tries out a configuration tell of nothing', () => {
    expect(objectEvents(TEST_EVENT)).toEqual([]);
  });

  const record = { eventName: 'ObjectCreated:Put', s3: { bucket: { name: 'b' }, object: { key: 'k' } } };
  const EXPECTED =
    "Invalid request: an event of an S3 store was expected: an object with 'Records', each with 'eventName', " +
    "'s3.bucket.name' and 's3.object.key'";

  it.each([
    ['null', null],
    ['a text', 'ObjectCreated:Put'],
    ['a list', [record]],
    ['no records', { source: 'aws.s3', 'detail-type': 'Object Created', detail: { object: { key: 'k' } } }],
    ['records that are none', { Records: { 0: record } }],
  ])('are refused that are %s', (_, event) => {
    expect(refusal(event)).toBe(EXPECTED);
  });

  it.each([
    ['a message of a queue', { eventSource: 'aws:sqs', body: '{"Records":[]}' }, 's3.object.key'],
    ['null', null, 's3.object.key'],
    ['no bucket', { ...record, s3: { object: { key: 'k' } } }, 's3.bucket.name'],
    ['a number for a bucket', { ...record, s3: { ...record.s3, bucket: { name: 5 } } }, 's3.bucket.name'],
    ['an empty key', { ...record, s3: { ...record.s3, object: { key: '' } } }, 's3.object.key'],
    ['no event', { s3: record.s3 }, 'eventName'],
  ])('are refused that have %s for a record', (_, wrong, field) => {
    expect(refusal({ Records: [record, wrong] })).toBe(`${EXPECTED}; 'Records[1].${field}' is no such text`);
  });
});

describe('an object', () => {
  it.each([
    ['', 'bosh-stemcell-1.390.tgz'],
    ['', 'any/folder/bosh-stemcell-1.390.tgz'],
    ['', 'lights/bosh-stemcell-1.390.tgz'],
    ['', 'folder/light/bosh-stemcell-1.390.tgz'],
    ['', 'highlight-1.tgz'],
    ['bosh/', 'bosh/bosh-stemcell-1.390.tgz'],
    ['light/', 'light/bosh-stemcell-1.390.tgz'],
    ['staged/', 'staged/1.tgz'],
  ])('below the prefix %j with the key %s may be a stemcell', (prefix, key) => {
    expect(whyIgnored({ key }, prefix)).toBeUndefined();
    expect(whyIgnored({ key, event: null }, prefix)).toBeUndefined();
  });

  it.each(['Put', 'Post', 'Copy', 'CompleteMultipartUpload'])(
    'may be a stemcell after ObjectCreated:%s',
    (how) => {
      expect(whyIgnored({ key: 'a.tgz', event: `ObjectCreated:${how}` }, '')).toBeUndefined();
    },
  );

  it.each([
    'ObjectRemoved:Delete',
    'ObjectRestore:Completed',
    'ObjectTagging:Put',
    'NotObjectCreated:Put',
    'ObjectCreated',
  ])('is ignored after %s', (event) => {
    expect(whyIgnored({ key: 'a.tgz', event }, '')).toBe(`it tells of ${event}, not of ObjectCreated`);
  });

  it.each([
    ['bosh/', 'a.tgz', 'its key does not begin with bosh/'],
    ['bosh/', 'boshes/a.tgz', 'its key does not begin with bosh/'],
    ['', 'light/light-a.tgz', 'it is a light stemcell'],
    ['', 'light/a.tgz', 'it is a light stemcell'],
    ['', 'light-a.tgz', 'it is a light stemcell'],
    ['bosh/', 'bosh/light/light-a.tgz', 'it is a light stemcell'],
    ['bosh/', 'bosh/folder/light-a.tgz', 'it is a light stemcell'],
    ['', 'staged/0f2c1a52-6d7e-4d0e-9c55-000000000001/image', 'it is an image of a Director'],
    ['bosh/', 'bosh/staged/1/a.tgz', 'it is an image of a Director'],
    ['', 'a.tgz.status.json', 'it tells the status of an upload'],
    ['', 'staged/1/image.status.json', 'it tells the status of an upload'],
    ['', 'light/light-a.tgz.status.json', 'it tells the status of an upload'],
    ['', 'a.tar.gz', 'its key does not end with .tgz'],
    ['', 'a.TGZ', 'its key does not end with .tgz'],
    ['', 'folder.tgz/', 'its key does not end with .tgz'],
  ])('below the prefix %j with the key %s is ignored: %s', (prefix, key, reason) => {
    expect(whyIgnored({ key, event: 'ObjectCreated:Put' }, prefix)).toBe(reason);
  });
});
