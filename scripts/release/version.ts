import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Of a release: no other CPI's is ever equal to it. */
export interface Version {
  version: string;
  /** `non-git` where there is no repository. */
  commitHash: string;
  hasUncommittedChanges: boolean;
}

const SUFFIX = 'serverless';
const HASH_LENGTH = 7;

const run = promisify(execFile);

/**
 * @param base as package.json has it
 * @param folder the repository's own: one above it says nothing about what is in there
 */
export async function versionOf(base: string, folder: string): Promise<Version> {
  const git = async (...args: string[]) => (await run('git', args, { cwd: folder })).stdout.trim();
  const isRepository = await git('rev-parse', '--show-prefix').then(
    (prefix) => prefix === '',
    () => false,
  );
  if (!isRepository) {
    return { version: `${base}+${SUFFIX}`, commitHash: 'non-git', hasUncommittedChanges: false };
  }
  const [hash = '', seconds] = (await git('log', '-1', '--format=%H %ct')).split(' ');
  const hasUncommittedChanges = (await git('status', '--porcelain')) !== '';
  const time = new Date(Number(seconds) * 1000).toISOString().replaceAll(/\D/g, '').slice(0, 14);
  return {
    version: `${base}+${SUFFIX}.${time}${hasUncommittedChanges ? '.dirty' : ''}`,
    commitHash: hash.slice(0, HASH_LENGTH),
    hasUncommittedChanges,
  };
}
