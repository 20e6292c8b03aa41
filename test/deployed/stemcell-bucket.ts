import { randomUUID } from 'node:crypto';
import { stemcellSettings } from '#lib/config/stemcells.ts';
import { openObjectStore } from '#lib/s3/object-store.ts';
import type { S3Description } from '../support/cloud.ts';
import { startObjectStore } from '../support/object-store.ts';
import { realCloud } from '../support/real-cloud.ts';

/** What files of the Director's machine go through. */
export interface StemcellBucket {
  /** `cloud.properties.stemcells` of the functions. */
  properties: Record<string, unknown>;
  secrets: string[];
  /** Of all objects that functions and callers have left there. */
  keys(): Promise<string[]>;
  close(): Promise<void>;
}

export async function embeddedBucket(): Promise<StemcellBucket> {
  const store = await startObjectStore();
  return { ...openBucket(store.description), close: () => store.close() };
}

/** In the object store of the real OpenStack. */
export async function realBucket(): Promise<StemcellBucket> {
  const { s3 } = await realCloud();
  if (!s3) {
    throw new Error('The real OpenStack has no object store that speaks S3');
  }
  return openBucket(s3);
}

function openBucket({ endpoint, region, access_key, secret_key }: S3Description): StemcellBucket {
  const properties = {
    bucket: 'bosh',
    prefix: `test-${randomUUID()}`,
    endpoint,
    region,
    access_key_id: access_key,
    secret_access_key: secret_key,
  };
  const { store: settings, prefix } = stemcellSettings(properties, {});
  return {
    properties,
    secrets: [secret_key],
    keys: async () => {
      const store = openObjectStore(settings, properties.bucket);
      const keys: string[] = [];
      for await (const { key } of store.list(prefix)) {
        keys.push(key);
      }
      store.close();
      return keys;
    },
    close: async () => {},
  };
}
