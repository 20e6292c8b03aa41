import { schemeOf } from '../config/urls.ts';
import { isRecord } from '../json.ts';

/**
 * The path of a stemcell's image that only this machine can see.
 * @returns undefined for other calls, for light stemcells, and where functions are to refuse the arguments
 */
export function localImageOf({ method, arguments: args }: Record<string, unknown>): string | undefined {
  const [path, cloudProperties] = Array.isArray(args) ? args : [];
  const isHeavy = isRecord(cloudProperties) && !cloudProperties.image_id;
  const isPath = typeof path === 'string' && schemeOf(path) === undefined && !path.includes('\0');
  return method === 'create_stemcell' && isHeavy && isPath ? path : undefined;
}
