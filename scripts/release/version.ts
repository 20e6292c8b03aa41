import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
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
  if (!(await isThere(join(folder, '.git')))) {
    return { version: `${base}+${SUFFIX}`, commitHash: 'non-git', hasUncommittedChanges: false };
  }
  const git = async (...args: string[]) => {
    // The same for whoever owns the folder, and with whatever settings.
    const settings = ['-c', `safe.directory=${folder}`, '-c', 'log.showSignature=false'];
    const options = { cwd: folder, env: withoutGit(process.env) };
    return (await run('git', [...settings, ...args], options)).stdout.trim();
  };
  const [hash = '', seconds] = (await git('log', '-1', '--format=%H %ct')).split(' ');
  const hasUncommittedChanges = (await git('status', '--porcelain', '--untracked-files=normal')) !== '';
  const time = new Date(Number(seconds) * 1000).toISOString().replaceAll(/\D/g, '').slice(0, 14);
  return {
    version: `${base}+${SUFFIX}.${time}${hasUncommittedChanges ? '.dirty' : ''}`,
    commitHash: hash.slice(0, HASH_LENGTH),
    hasUncommittedChanges,
  };
}

/** Variables that name another repository, a hook's for instance. */
function withoutGit(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('GIT_')));
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
