import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { schemeOf } from '../config/urls.ts';
import { CpiError } from '../cpi/errors.ts';

/** @throws {CpiError} for a file that cannot be read; what is at a URL turns out later */
export async function checkStemcell(location: string): Promise<void> {
  if (schemeOf(location) !== undefined) {
    return;
  }
  await access(location, constants.R_OK).catch((cause) => {
    throw new CpiError(`The stemcell '${location}' must be a file that can be read (${cause.code})`, {
      cause,
    });
  });
  if ((await stat(location)).isDirectory()) {
    throw new CpiError(`The stemcell '${location}' must be a file, it is a folder`);
  }
}

/**
 * Checks, before hours of uploading, that a light stemcell can be written.
 * @param stemcell path or URL of what it is made of
 * @throws {CpiError} that says what to do
 */
export async function checkLightPath(path: string, stemcell: string, force: boolean): Promise<void> {
  const folder = dirname(path);
  const isFolder = await stat(folder).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    throw new CpiError(`--light must name a file in a folder that exists, there is no folder '${folder}'`);
  }
  await access(folder, constants.W_OK).catch((cause) => {
    throw new CpiError(`--light must name a file in a folder that can be written to, '${folder}' cannot`, {
      cause,
    });
  });
  const existing = await stat(path).catch(() => undefined);
  if (existing?.isDirectory()) {
    throw new CpiError(`--light must name a file, '${path}' is a folder`);
  }
  if (existing && (await isSame(path, stemcell))) {
    throw new CpiError(`--light must name another file than the stemcell '${stemcell}'`);
  }
  if (existing && !force) {
    throw new CpiError(
      `--light names '${path}', which exists: give --force to overwrite it, or another name`,
    );
  }
}

async function isSame(path: string, other: string): Promise<boolean> {
  const [one, two] = await Promise.all([path, other].map((each) => realpath(each).catch(() => undefined)));
  return one !== undefined && one === two;
}
