import { parseArgs } from 'node:util';
import { DEFAULT_CONFIG_PATH } from '../config/default-path.ts';

/** Where the configuration is; undefined for arguments that a Director does not give. */
export function directorsConfigPath(args: string[]): string | undefined {
  try {
    return parseArgs({ args, options: { config: { type: 'string' } } }).values.config ?? DEFAULT_CONFIG_PATH;
  } catch {
    return undefined;
  }
}
