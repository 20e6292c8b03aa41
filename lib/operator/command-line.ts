import { parseArgs } from 'node:util';
import { DEFAULT_CONFIG_PATH } from '../config/default-path.ts';

export const USAGE = `Usage:
  cpi [--config FILE] < request.json
      answers a request of a BOSH Director
  cpi upload-stemcell FILE|URL [--light OUT [--force]] [--config FILE] [--verbose]
      makes an image of a BOSH stemcell: a file, or an object at an s3:// or https:// URL
  cpi delete-stemcell-image ID|KEY [--config FILE] [--verbose]
      deletes an image that upload-stemcell or an event has made

Options:
  --config FILE  configuration of the CPI, ${DEFAULT_CONFIG_PATH}
                 if not given
  --light OUT    writes a light stemcell for \`bosh upload-stemcell\`
  --force        overwrites OUT
  --verbose      logs every request
  --help         shows this
`;

export type Command =
  | { name: 'help' }
  | ({ name: 'upload-stemcell'; stemcell: string; lightPath?: string; force: boolean } & CommonOptions)
  | ({ name: 'delete-stemcell-image'; image: string } & CommonOptions);

interface CommonOptions {
  configPath: string;
  isVerbose: boolean;
}

/** Someone calls the binary in a way that there is not. */
export class UsageError extends Error {}

const OPTIONS = {
  config: { type: 'string' },
  light: { type: 'string' },
  force: { type: 'boolean' },
  verbose: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;
const TAKEN: Record<string, readonly string[]> = {
  'upload-stemcell': ['config', 'verbose', 'light', 'force'],
  'delete-stemcell-image': ['config', 'verbose'],
};

/**
 * What an operator wants; undefined for arguments without a command, which are not an operator's.
 * @throws {UsageError}
 */
export function readCommand(args: string[]): Command | undefined {
  const lenient = parseArgs({ args, options: OPTIONS, allowPositionals: true, strict: false });
  if (lenient.values.help) {
    return { name: 'help' };
  }
  const [name] = lenient.positionals;
  if (name === undefined) {
    return undefined;
  }
  const taken = TAKEN[name];
  if (!taken) {
    throw new UsageError(`there is no command '${name}'`);
  }
  const { values, positionals } = parsed(args);
  const foreign = Object.keys(values).find((option) => !taken.includes(option));
  if (foreign !== undefined) {
    throw new UsageError(`${name} has no option --${foreign}`);
  }
  const [, operand = '', ...more] = positionals;
  if (operand === '' || more.length > 0) {
    const one = name === 'upload-stemcell' ? 'FILE or URL' : 'ID or KEY';
    throw new UsageError(`${name} takes one ${one}, got ${more.length > 0 ? more.length + 1 : 'none'}`);
  }
  const { config = DEFAULT_CONFIG_PATH, verbose = false, light, force = false } = values;
  const common = { configPath: config, isVerbose: verbose };
  return name === 'upload-stemcell'
    ? { name, stemcell: operand, force, ...(light === undefined ? {} : { lightPath: light }), ...common }
    : { name: 'delete-stemcell-image', image: operand, ...common };
}

function parsed(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
