import type { ConnectionSettings } from '../http/connection-settings.ts';
import type { ProxySettings } from '../http/proxy.ts';
import { isRecord } from '../json.ts';
import type { ObjectStoreSettings } from '../s3/object-store.ts';
import { certificates } from './certificates.ts';
import type { StemcellSection } from './schema.ts';
import { isHttpUrl } from './urls.ts';

/** Where stemcells lie that are not on the Director's disk. */
export interface StemcellSettings {
  readonly bucket: string | undefined;
  /** Of all keys; empty, or with a slash at its end. */
  readonly prefix: string;
  readonly store: ObjectStoreSettings;
}

/** What has no regions of its own wants one all the same, for signatures. */
const ANY_REGION = 'us-east-1';

/** @param environment proxies of the process's environment */
export function stemcellSettings(section: StemcellSection, environment: ProxySettings): StemcellSettings {
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey } = section;
  const endpoint = section.endpoint || undefined;
  const prefix = section.prefix ?? '';
  return {
    bucket: section.bucket || undefined,
    prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`,
    store: {
      endpoint,
      region: section.region || (endpoint && ANY_REGION),
      pathStyle: section.path_style ?? endpoint !== undefined,
      credentials:
        accessKeyId && secretAccessKey
          ? { kind: 'keys', accessKeyId, secretAccessKey, sessionToken: undefined }
          : undefined,
      ...stemcellConnection(section, environment),
    },
  };
}

/** How to reach the bucket, for who has a URL that is signed already. */
export function stemcellConnection(
  section: unknown,
  environment: ProxySettings,
): Pick<ConnectionSettings, 'proxy'> & { ca: string | undefined } {
  return { ca: authority(section).pem, proxy: environment };
}

/** All that is wrong with the section beside its types. */
export function stemcellProblems(section: unknown): string[] {
  const given = isRecord(section) ? section : {};
  const text = (name: string) => {
    const value = given[name];
    return typeof value === 'string' ? value : '';
  };
  const problems: string[] = [];
  if (text('bucket').includes('/')) {
    problems.push('stemcells.bucket must be the name of a bucket, without /');
  }
  if (text('prefix').startsWith('/')) {
    problems.push('stemcells.prefix must not begin with /');
  }
  if (text('endpoint') !== '' && !isHttpUrl(text('endpoint'))) {
    problems.push('stemcells.endpoint must be a URL');
  }
  if (!given.access_key_id !== !given.secret_access_key) {
    problems.push('stemcells.access_key_id and stemcells.secret_access_key need each other');
  }
  return [...problems, ...authority(section).problems];
}

function authority(section: unknown) {
  return certificates('stemcells', { ca_cert: isRecord(section) ? section.ca_cert : undefined });
}
