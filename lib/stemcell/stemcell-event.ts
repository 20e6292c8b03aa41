import { CpiError } from '../cpi/errors.ts';
import { isRecord } from '../json.ts';

/** What happened to an object, as its store tells. */
export interface ObjectEvent {
  bucket: string;
  key: string;
  /** `ObjectCreated:Put` and the like. */
  event: string;
}

const EXPECTED =
  "an event of an S3 store was expected: an object with 'Records', each with 'eventName', 's3.bucket.name' and 's3.object.key'";
const CREATED = /^ObjectCreated:/;

/**
 * The objects of an event as AWS S3, MinIO and Ceph send it; none, of the message by which S3 tries a new configuration out.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 * https://github.com/minio/minio/blob/master/docs/bucket/notifications/README.md
 * https://docs.ceph.com/en/latest/radosgw/notifications/
 * @throws {CpiError} that says what was expected
 */
export function objectEvents(event: unknown): ObjectEvent[] {
  if (isRecord(event) && event.Event === 's3:TestEvent') {
    return [];
  }
  if (!isRecord(event) || !Array.isArray(event.Records)) {
    throw new CpiError(`Invalid request: ${EXPECTED}`);
  }
  return event.Records.map(objectEvent);
}

/**
 * Why an object is no stemcell to be uploaded; undefined when it may be one.
 * @param prefix below which stemcells are dropped: empty, or with a `/` at its end
 */
export function whyIgnored(
  { key, event }: { key: string; event?: string | null },
  prefix: string,
): string | undefined {
  if (event && !CREATED.test(event)) {
    return `it tells of ${event}, not of ObjectCreated`;
  }
  if (!key.startsWith(prefix)) {
    return `its key does not begin with ${prefix}`;
  }
  const rest = key.slice(prefix.length);
  const name = rest.slice(rest.lastIndexOf('/') + 1);
  if (key.endsWith('.status.json')) {
    return 'it tells the status of an upload';
  }
  if (rest.startsWith('light/') || name.startsWith('light-')) {
    return 'it is a light stemcell';
  }
  if (rest.startsWith('staged/')) {
    return 'it is an image of a Director';
  }
  return name.endsWith('.tgz') ? undefined : 'its key does not end with .tgz';
}

function objectEvent(record: unknown, index: number): ObjectEvent {
  const { eventName, eventSource, s3 } = isRecord(record) ? record : {};
  const { bucket, object } = isRecord(s3) ? s3 : {};
  const key = text(isRecord(object) ? object.key : undefined, `Records[${index}].s3.object.key`);
  return {
    bucket: text(isRecord(bucket) ? bucket.name : undefined, `Records[${index}].s3.bucket.name`),
    key: isCeph(eventSource) ? key : decoded(key),
    event: text(eventName, `Records[${index}].eventName`).replace(/^s3:/, ''),
  };
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string' || value === '') {
    throw new CpiError(`Invalid request: ${EXPECTED}; '${field}' is no such text`);
  }
  return value;
}

/** Its keys are as they are; those of the others are encoded as forms are, MinIO's with `%2F`. */
function isCeph(eventSource: unknown): boolean {
  return typeof eventSource === 'string' && eventSource.startsWith('ceph:');
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    // Nobody has encoded it.
    return key;
  }
}
