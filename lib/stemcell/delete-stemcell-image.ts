import type { CallContext } from '../cpi/call-context.ts';
import { CloudError, CpiError } from '../cpi/errors.ts';
import { isRecord, parseJson } from '../json.ts';
import type { Image } from '../openstack/glance/images.ts';
import { isUuid } from '../openstack/uuid.ts';
import { deleteCompanions } from './companions.ts';
import { imageSource, lightPrefix, objectSourceOf, SOURCE } from './image-source.ts';
import { imageIdOf } from './stemcell-cid.ts';
import { statusKeyOf } from './upload-status.ts';

const NAMED_SERVERS = 5;

/**
 * Deletes an image that was made by event or by hand, with its kernel and ramdisk, and what the bucket says of it.
 * @param named the image's id, the key of the object that it was made of, or any source as the image's property has it
 * @returns the image's id
 * @throws {CloudError} when there is no such image or several, when a server uses it, or when it is a Director's
 */
export async function deleteStemcellImage(named: string, context: CallContext): Promise<string> {
  const { openstack, attempt, log } = context;
  const id = imageIdOf(named);
  const image = isUuid(id) ? await openstack.images.find(id) : await imageMadeOf(named, context);
  if (!image) {
    if (attempt > 1 && isUuid(id)) {
      log.info(`Image '${id}' not found, an earlier attempt has deleted it`);
      return id;
    }
    throw new CloudError(`No image with id '${id}' found in OpenStack`);
  }
  refuseOthers(image);
  await refuseUsed(image, context);
  await deleteCompanions(image, context);
  await openstack.images.delete(image.id);
  await forget(image, context);
  return image.id;
}

async function imageMadeOf(named: string, { openstack, stemcells }: CallContext): Promise<Image> {
  const source = isSource(named) ? named : objectSourceOf(configuredBucket(stemcells.settings.bucket), named);
  const found = await Promise.all(
    [false, true].map((isHidden) => openstack.images.listByProperty(SOURCE, source, { isHidden })),
  );
  const [image, ...more] = found.flat().filter((one) => !isCompanion(one));
  if (!image) {
    const hint = isSource(named) ? '' : `; one that was uploaded by hand is of 'file:${named}'`;
    throw new CloudError(`No image that was made of '${source}' found in OpenStack${hint}`);
  }
  if (more.length > 0) {
    const ids = [image, ...more].map((one) => `'${one.id}'`).join(', ');
    throw new CloudError(`Several images were made of '${source}': ${ids}. Give the id of one of them`);
  }
  return image;
}

function isSource(named: string): boolean {
  return /^(s3:\/\/|https?:\/\/|file:)/.test(named);
}

function configuredBucket(bucket: string | undefined): string {
  if (bucket === undefined) {
    throw new CpiError(
      "stemcells.bucket must be set where an image is named by an object's key; give the image's id, or s3://<bucket>/<key>",
    );
  }
  return bucket;
}

function isCompanion(image: Image): boolean {
  return image.stemcell !== undefined;
}

function refuseOthers(image: Image): void {
  if (imageSource(image) === undefined) {
    throw new CloudError(
      `Image '${image.id}' was not made by event or by hand, as its missing property ${SOURCE} tells: ` +
        'if it is that of a stemcell of a Director, use `bosh delete-stemcell`',
    );
  }
  if (isCompanion(image)) {
    throw new CloudError(
      `Image '${image.id}' is the kernel or ramdisk of image '${image.stemcell}', and is deleted with it`,
    );
  }
}

/** Servers that boot from a volume have a copy, and so need it no more. */
async function refuseUsed({ id }: Image, { openstack }: CallContext): Promise<void> {
  const servers = await openstack.servers.listByImage(id, NAMED_SERVERS + 1);
  if (servers.length > 0) {
    const names = servers.slice(0, NAMED_SERVERS).map((server) => `'${server.name}' (${server.id})`);
    const more = servers.length > NAMED_SERVERS ? ' and others' : '';
    throw new CloudError(
      `Image '${id}' is used by ${names.length === 1 && !more ? 'server' : 'servers'} ${names.join(', ')}${more}: ` +
        'delete the VMs, or move them to another stemcell, before',
    );
  }
}

/** What the bucket says of the object may be about another image by now. */
async function forget(image: Image, { stemcells, log }: CallContext): Promise<void> {
  const { bucket, prefix } = stemcells.settings;
  const source = imageSource(image) ?? '';
  const beginning = objectSourceOf(bucket ?? '', '');
  if (bucket === undefined || !source.startsWith(beginning)) {
    return;
  }
  const statusKey = statusKeyOf(source.slice(beginning.length));
  try {
    const store = await stemcells.openStore();
    const status = parseJson((await store.readText(statusKey))?.text ?? '');
    if (!isRecord(status) || status.image_id !== image.id) {
      return;
    }
    const { light_stemcell: lightKey } = status;
    if (typeof lightKey === 'string' && lightKey.startsWith(lightPrefix(prefix))) {
      await store.delete(lightKey);
    }
    await store.delete(statusKey);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.warn(`light stemcell and status of '${source}' not deleted: ${reason}`);
  }
}
