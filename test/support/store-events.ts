/** What happened to an object, for events as different stores send them. */
export interface Happening {
  bucket: string;
  key: string;
  /** Without `s3:`. */
  event?: string;
  bytes?: number;
  etag?: string;
}

const SOURCE_IP = '192.0.2.17';

/** As AWS S3 sends it: keys are encoded as forms are, but for `/`. */
export function awsEvent(...happenings: Happening[]): object {
  return {
    Records: happenings.map((happening) => ({
      eventVersion: '2.5',
      eventSource: 'aws:s3',
      awsRegion: 'eu-central-1',
      eventTime: '2026-11-22T12:00:00.000Z',
      eventName: happening.event ?? 'ObjectCreated:CompleteMultipartUpload',
      userIdentity: { principalId: 'AWS:AIDAEXAMPLEOPERATOR' },
      requestParameters: { sourceIPAddress: SOURCE_IP },
      responseElements: {
        'x-amz-request-id': 'C3D13FE58DE4C810',
        'x-amz-id-2': 'FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG',
      },
      s3: {
        s3SchemaVersion: '1.0',
        configurationId: 'stemcells',
        bucket: {
          name: happening.bucket,
          ownerIdentity: { principalId: 'A3NL1KOZZKExample' },
          arn: `arn:aws:s3:::${happening.bucket}`,
        },
        object: {
          key: formEncoded(happening.key).replaceAll('%2F', '/'),
          size: happening.bytes ?? 1024,
          eTag: happening.etag ?? 'd41d8cd98f00b204e9800998ecf8427e-3',
          sequencer: '0055AED6DCD90281E5',
        },
      },
    })),
  };
}

/** As MinIO's webhook sends it: `/` is encoded, too, and the names of events begin with `s3:`. */
export function minioEvent(...happenings: Happening[]): object {
  const [first] = happenings;
  const nameOf = ({ event = 'ObjectCreated:Put' }: Happening) => `s3:${event}`;
  return {
    EventName: first && nameOf(first),
    Key: first && `${first.bucket}/${first.key}`,
    Records: happenings.map((happening) => ({
      eventVersion: '2.0',
      eventSource: 'minio:s3',
      awsRegion: '',
      eventTime: '2026-11-22T12:00:00.000Z',
      eventName: nameOf(happening),
      userIdentity: { principalId: 'operator' },
      requestParameters: { principalId: 'operator', region: '', sourceIPAddress: SOURCE_IP },
      responseElements: {
        'x-amz-id-2': 'dd9025bab4ad464b049177c95eb6ebf374d3b3fd1af9251148b658df7ac2e3e8',
        'x-amz-request-id': '17A1B2C3D4E5F607',
        'x-minio-deployment-id': '5b5c2f4e-9f3c-4a53-9a0f-0d3f4c1d7b1a',
        'x-minio-origin-endpoint': 'http://192.0.2.5:9000',
      },
      s3: {
        s3SchemaVersion: '1.0',
        configurationId: 'Config',
        bucket: {
          name: happening.bucket,
          ownerIdentity: { principalId: 'operator' },
          arn: `arn:aws:s3:::${happening.bucket}`,
        },
        object: {
          key: formEncoded(happening.key),
          size: happening.bytes ?? 1024,
          eTag: happening.etag ?? 'd41d8cd98f00b204e9800998ecf8427e',
          contentType: 'application/gzip',
          userMetadata: { 'content-type': 'application/gzip' },
          sequencer: '17A1B2C3D5F6A7B8',
        },
      },
      source: { host: SOURCE_IP, port: '', userAgent: 'MinIO (linux; amd64) minio-go/v7.0.63 mc' },
    })),
  };
}

/** As Ceph's gateway sends it: keys are as they are. */
export function cephEvent(...happenings: Happening[]): object {
  return {
    Records: happenings.map((happening) => ({
      eventVersion: '2.2',
      eventSource: 'ceph:s3',
      awsRegion: 'default',
      eventTime: '2026-11-22T12:00:00.123456Z',
      eventName: happening.event ?? 'ObjectCreated:Put',
      userIdentity: { principalId: 'operator' },
      requestParameters: { sourceIPAddress: '' },
      responseElements: { 'x-amz-request-id': '503a4c37.5330.903595', 'x-amz-id-2': '14d2-default-default' },
      s3: {
        s3SchemaVersion: '1.0',
        configurationId: 'stemcells',
        bucket: {
          name: happening.bucket,
          ownerIdentity: { principalId: 'operator' },
          arn: `arn:aws:s3:default::${happening.bucket}`,
          id: '503a4c37-85eb-47cd-8681-2817e80b4281.5332.38',
        },
        object: {
          key: happening.key,
          size: happening.bytes ?? 1024,
          eTag: happening.etag ?? 'd41d8cd98f00b204e9800998ecf8427e',
          versionId: '',
          sequencer: 'F7E6D75DC742D108',
          metadata: [],
          tags: [],
        },
      },
      eventId: '',
      opaqueData: 'operator@example.com',
    })),
  };
}

/** By which S3 tries out where events are to go. */
export const TEST_EVENT = {
  Service: 'Amazon S3',
  Event: 's3:TestEvent',
  Time: '2026-11-22T12:00:00.000Z',
  Bucket: 'stemcells',
  RequestId: '5582815E1AEA5ADF',
  HostId: '8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR',
};

/** application/x-www-form-urlencoded. */
function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}
