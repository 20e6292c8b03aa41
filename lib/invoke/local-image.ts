import { isRecord } from '../json.ts';

const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

/**
 * The path of a stemcell's image that only this machine can see.
 * @returns undefined for other calls, for light stemcells, and where functions are to refuse the arguments
 */
export function localImageOf({ method, arguments: args }: Record<string, unknown>): string | undefined {
  const [path, cloudProperties] = Array.isArray(args) ? args : [];
  const isHeavy = isRecord(cloudProperties) && !cloudProperties.image_id;
  const isPath = typeof path === 'string' && !SCHEME.test(path) && !path.includes('\0');
  return method === 'create_stemcell' && isHeavy && isPath ? path : undefined;
}
