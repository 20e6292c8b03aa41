import { basename } from 'node:path';
import { customProperty, type Image } from '../openstack/glance/images.ts';

/** The property of images that were made by event or by hand: what of. A Director's images do not have it. */
export const SOURCE = 'bosh_stemcell_source';

/** What the property says of a path or URL: no folders, and nothing that could be secret. */
export function sourceOf(location: string): string {
  if (/^s3:\/\//i.test(location)) {
    return location.replace(/^s3/i, 's3');
  }
  const url = /^https?:\/\//i.test(location) ? URL.parse(location) : null;
  return url ? `${url.origin}${url.pathname}` : `file:${basename(location)}`;
}

export function objectSourceOf(bucket: string, key: string): string {
  return `s3://${bucket}/${key}`;
}

/** Undefined for an image that was made in any other way. */
export function imageSource(image: Image): string | undefined {
  return customProperty(image, SOURCE);
}

/** Where the light stemcell of an object is written. @param prefix empty, or with a `/` at its end */
export function lightKeyOf(key: string, prefix: string): string {
  const path = key.startsWith(prefix) ? key.slice(prefix.length) : key;
  const name = path.slice(path.lastIndexOf('/') + 1);
  return `${lightPrefix(prefix)}${path.slice(0, path.length - name.length)}light-${name}`;
}

export function lightPrefix(prefix: string): string {
  return `${prefix}light/`;
}
