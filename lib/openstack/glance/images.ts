import type { Readable } from 'node:stream';
import { ConflictError } from '../errors.ts';
import { path, type ServiceClient } from '../service-client.ts';
import { type Patience, waitFor } from '../wait-for.ts';

/** Custom properties stand beside these, as strings. */
export interface Image {
  id: string;
  name: string | null;
  status: string;
  disk_format?: string | null;
  /** Of the data, in bytes; as what follows null until there is any. */
  size?: number | null;
  /** MD5. */
  checksum?: string | null;
  /** As Node names it too: `sha512` unless Glance is configured otherwise. */
  os_hash_algo?: string | null;
  os_hash_value?: string | null;
  kernel_id?: string | null;
  ramdisk_id?: string | null;
  /** Of a kernel or ramdisk: the name of the image that it was uploaded with. */
  stemcell?: string;
}

export interface ImageRequest {
  id: string;
  name: string;
  disk_format: string;
  container_format: string;
  visibility: 'public' | 'private';
  [property: string]: string;
}

const FAILED = ['killed', 'deleted', 'deactivated', 'pending_delete', 'error'];
const TIMEOUT_HINT = '; increase openstack.state_timeout for slow image stores';

/** Names that Glance keeps for itself. https://docs.openstack.org/api-ref/image/v2/#create-image */
export const RESERVED_IMAGE_PROPERTIES: ReadonlySet<string> = new Set([
  'id',
  'name',
  'status',
  'visibility',
  'size',
  'virtual_size',
  'checksum',
  'os_hash_algo',
  'os_hash_value',
  'os_hidden',
  'owner',
  'created_at',
  'updated_at',
  'file',
  'self',
  'schema',
  'locations',
  'direct_url',
  'tags',
  'min_disk',
  'min_ram',
  'protected',
  'container_format',
  'disk_format',
  'stores',
]);

/** Undefined where the image has no such text. */
export function customProperty(image: Image, name: string): string | undefined {
  const [, value] = Object.entries(image).find(([key]) => key === name) ?? [];
  return typeof value === 'string' ? value : undefined;
}

/** An earlier attempt's main image may refer to a kernel or ramdisk that has been replaced since. */
function refersAsWanted({ kernel_id, ramdisk_id }: ImageRequest, found: Image | undefined): boolean {
  return (found?.kernel_id ?? undefined) === kernel_id && (found?.ramdisk_id ?? undefined) === ramdisk_id;
}

/** https://docs.openstack.org/api-ref/image/v2/#images */
export class Images {
  readonly #glance: ServiceClient;
  readonly #patience: Patience;

  constructor(glance: ServiceClient, patience: Patience) {
    this.#glance = glance;
    this.#patience = patience;
  }

  async find(id: string): Promise<Image | undefined> {
    return this.#glance.find<Image>(path`/images/${id}`);
  }

  /**
   * Makes the record of an image, which waits for its data. The id is the client's choice and used for nothing else, so that
   * the request can be repeated: a conflict says that an earlier one arrived.
   * @param isOwn whether that may have been this client's
   * @throws {ConflictError} when the earlier record is not the same, or has its data
   */
  async create(image: ImageRequest, isOwn: (found: Image) => boolean = () => true): Promise<void> {
    try {
      await this.#glance.post('/images', image, { idempotent: true });
    } catch (error) {
      if (!(error instanceof ConflictError && (await this.#isQueued(image, isOwn)))) {
        throw error;
      }
    }
  }

  /** Images with a custom property of this value, or the hidden ones of them; no more than one page. */
  async listByProperty(name: string, value: string, { isHidden = false } = {}): Promise<Image[]> {
    const { images } = await this.#glance.get<{ images: Image[] }>('/images', {
      query: { [name]: value, ...(isHidden ? { os_hidden: true } : {}), limit: 100 },
    });
    return images.filter((image) => customProperty(image, name) === value);
  }

  /**
   * What became of the image that such a request made: `complete` when it has its data, and refers to other images as wanted.
   * @param isSent whether all of the data was sent, so that it is enough that Glance has not finished with it
   */
  async stateOf(image: ImageRequest, isSent: boolean): Promise<'gone' | 'incomplete' | 'complete'> {
    const found = await this.find(image.id);
    if (!found) {
      return 'gone';
    }
    const hasData = found.status === 'active' || (isSent && found.status === 'saving');
    return hasData && refersAsWanted(image, found) ? 'complete' : 'incomplete';
  }

  /** @param bytes exact size of the data */
  async upload(id: string, data: Readable, bytes: number): Promise<void> {
    await this.#glance.upload(path`/images/${id}/file`, data, bytes);
  }

  /** Deletes what may be gone already. */
  async delete(id: string): Promise<void> {
    await this.#glance.delete(path`/images/${id}`);
  }

  async #isQueued(image: ImageRequest, isOwn: (found: Image) => boolean): Promise<boolean> {
    const found = await this.find(image.id);
    return found?.status === 'queued' && refersAsWanted(image, found) && isOwn(found);
  }

  async waitUntilActive(id: string): Promise<Image> {
    return waitFor(
      {
        kind: 'Image',
        id,
        look: () => this.find(id),
        state: (image) => image.status,
        targets: ['active'],
        failed: (image) => FAILED.includes(image.status),
        timeoutHint: TIMEOUT_HINT,
      },
      this.#patience,
    );
  }
}
