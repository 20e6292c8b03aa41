import { createHash } from 'node:crypto';
import {
  ApiError,
  type ApiRequest,
  type Caller,
  HTML,
  htmlError,
  isObject,
  type Reply,
  Routes,
} from './http.ts';
import { python, type Schema, violation } from './schema.ts';
import type { Image } from './state.ts';
import { seconds, uuid, type World } from './world.ts';

/** Image API v2: https://docs.openstack.org/api-ref/image/v2/. Its errors are HTML pages. */

interface Call {
  request: ApiRequest;
  caller: Caller;
}

const nullableString = { type: ['null', 'string'] } satisfies Schema;
const links = ['direct_url', 'self', 'file', 'schema', 'stores'];
const readOnly = [
  'status',
  'size',
  'virtual_size',
  'checksum',
  'os_hash_algo',
  'os_hash_value',
  'created_at',
  'updated_at',
];
const reservedByDatabase = ['is_public', 'deleted', 'deleted_at', 'location', 'properties'];

const createSchema: Schema = {
  type: 'object',
  properties: {
    id: {
      type: 'string',
      pattern: '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$',
    },
    name: { ...nullableString, maxLength: 255 },
    status: {
      type: 'string',
      enum: [
        'queued',
        'saving',
        'active',
        'killed',
        'deleted',
        'uploading',
        'importing',
        'pending_delete',
        'deactivated',
      ],
    },
    visibility: { type: 'string', enum: ['community', 'public', 'private', 'shared'] },
    protected: { type: 'boolean' },
    os_hidden: { type: 'boolean' },
    owner: { ...nullableString, maxLength: 255 },
    size: { type: ['null', 'integer'] },
    virtual_size: { type: ['null', 'integer'] },
    locations: { type: 'array' },
    tags: { type: 'array', items: { type: 'string', maxLength: 255 } },
    container_format: {
      ...nullableString,
      enum: [null, 'ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed'],
    },
    disk_format: {
      ...nullableString,
      enum: [null, 'ami', 'ari', 'aki', 'vhd', 'vhdx', 'vmdk', 'raw', 'qcow2', 'vdi', 'iso', 'ploop'],
    },
    min_disk: { type: 'integer' },
    min_ram: { type: 'integer' },
    // Of these two Glance wants ids, or says so: it takes any string.
    kernel_id: nullableString,
    ramdisk_id: nullableString,
  },
  additionalProperties: { type: 'string' },
};

const baseProperties = new Set([
  'id',
  'name',
  'visibility',
  'protected',
  'os_hidden',
  'owner',
  'tags',
  'container_format',
  'disk_format',
  'min_disk',
  'min_ram',
]);

const importHeaders = {
  'openstack-image-import-methods': 'glance-direct,web-download,copy-image',
  'openstack-image-store-ids': 'file,os_glance_staging_store,os_glance_tasks_store',
};

export class Glance {
  readonly #world: World;
  readonly #routes = new Routes<Call>()
    .on('GET', '/v2/images', (call) => this.#list(call))
    .on('POST', '/v2/images', (call) => this.#create(call))
    .on('GET', '/v2/images/{}', (call, imageId) => ({
      status: 200,
      body: shown(this.#image(call.caller, imageId)),
    }))
    .on('PATCH', '/v2/images/{}', (call, imageId) => this.#patch(call, imageId))
    .on('DELETE', '/v2/images/{}', (call, imageId) => this.#delete(call, imageId))
    .on('PUT', '/v2/images/{}/file', (call, imageId) => this.#upload(call, imageId))
    .on('GET', '/v2/images/{}/file', (call, imageId) => this.#download(call, imageId))
    .on('POST', '/v2/images/{}/members', (call, imageId) => this.#addMember(call, imageId))
    .on('PUT', '/v2/images/{}/members/{}', (call, imageId, member) => this.#setMember(call, imageId, member))
    .on('POST', '/v2/images/{}/actions/deactivate', (call, imageId) => {
      this.#image(call.caller, imageId).status = 'deactivated';
      return { status: 204, headers: HTML };
    })
    .on('POST', '/v2/images/{}/actions/reactivate', (call, imageId) => {
      this.#image(call.caller, imageId).status = 'active';
      return { status: 204, headers: HTML };
    });

  constructor(world: World) {
    this.#world = world;
  }

  async handle(request: ApiRequest, caller: Caller): Promise<Reply> {
    const route = this.#routes.find(request.method, request.path);
    if (!route) {
      return htmlError(404);
    }
    if (!('run' in route)) {
      const reply = htmlError(405, '', `The method ${request.method} is not allowed for this resource. `);
      return { ...reply, headers: { ...reply.headers, allow: route.allowed.sort().join(', ') } };
    }
    return route.run({ request, caller });
  }

  #visible(image: Image, caller: Caller): boolean {
    return (
      caller.admin ||
      image.owner === caller.projectId ||
      ['public', 'community'].includes(image.visibility) ||
      (image.visibility === 'shared' && caller.projectId in image.members)
    );
  }

  /** By its id, a project finds more. */
  #listed(image: Image, caller: Caller): boolean {
    return (
      caller.admin ||
      image.owner === caller.projectId ||
      image.visibility === 'public' ||
      (image.visibility === 'shared' && image.members[caller.projectId] === 'accepted')
    );
  }

  async #addMember({ request, caller }: Call, imageId: string): Promise<Reply> {
    const image = this.#image(caller, imageId);
    const member = String((await documentOf(request)).member);
    image.members[member] = 'pending';
    return { status: 200, body: shownMember(image, member) };
  }

  async #setMember({ request, caller }: Call, imageId: string, member: string): Promise<Reply> {
    const image = this.#image(caller, imageId);
    image.members[member] = String((await documentOf(request)).status);
    return { status: 200, body: shownMember(image, member) };
  }

  #image(caller: Caller, imageId: string): Image {
    const image = this.#world.state.images.get(imageId);
    if (!image || !this.#visible(image, caller)) {
      throw failure(404, `No image found with ID ${imageId}`);
    }
    return image;
  }

  #list({ request, caller }: Call): Reply {
    const { query } = request;
    const sortKeys = [
      'name',
      'status',
      'container_format',
      'disk_format',
      'size',
      'id',
      'created_at',
      'updated_at',
    ];
    const sortKey = query.get('sort_key');
    if (sortKey !== null && !sortKeys.includes(sortKey)) {
      throw failure(
        400,
        `Invalid sort key: ${sortKey}. It must be one of the following: ${sortKeys.join(', ')}.`,
      );
    }
    const notFilters = new Set(['limit', 'marker', 'sort_key', 'sort_dir', 'sort']);
    const found = [...this.#world.state.images.values()]
      .reverse()
      .filter((image) => this.#listed(image, caller))
      .filter((image) => String(image.os_hidden) === (query.get('os_hidden') ?? 'false'))
      .filter((image) => {
        const row: Record<string, unknown> = shown(image);
        return [...query].every(([key, value]) => notFilters.has(key) || String(row[key] ?? '') === value);
      });
    const limit = Number(query.get('limit') ?? 25);
    const marker = query.get('marker');
    const start = marker === null ? 0 : found.findIndex((image) => image.id === marker) + 1;
    const page = found.slice(start, start + limit);
    const filters = new URLSearchParams([...query].filter(([key]) => key !== 'marker')).toString();
    const last = page.at(-1);
    return {
      status: 200,
      body: {
        images: page.map(shown),
        first: `/v2/images${filters === '' ? '' : `?${filters}`}`,
        ...(last &&
          start + page.length < found.length && {
            next: `/v2/images?marker=${last.id}${filters === '' ? '' : `&${filters}`}`,
          }),
        schema: '/v2/schemas/images',
      },
    };
  }

  async #create({ request, caller }: Call): Promise<Reply> {
    const given = await documentOf(request);
    checkLinks(given);
    checkDocument(given);
    checkNames(given, caller);
    const imageId = typeof given.id === 'string' ? given.id : uuid();
    const { images, deletedImages } = this.#world.state;
    if (given.visibility === 'public' && !caller.admin) {
      throw failure(403, 'You are not authorized to complete publicize_image action.');
    }
    if (images.has(imageId) || deletedImages.has(imageId)) {
      throw failure(409, `Image ID ${imageId} already exists!`);
    }
    const image: Image = {
      id: imageId,
      name: textOrNull(given.name),
      owner: caller.projectId,
      status: 'queued',
      visibility: typeof given.visibility === 'string' ? given.visibility : 'shared',
      disk_format: textOrNull(given.disk_format),
      container_format: textOrNull(given.container_format),
      protected: given.protected === true,
      os_hidden: given.os_hidden === true,
      min_disk: Number(given.min_disk ?? 0),
      min_ram: Number(given.min_ram ?? 0),
      size: null,
      checksum: null,
      os_hash_value: null,
      tags: Array.isArray(given.tags) ? given.tags.map(String) : [],
      members: {},
      properties: Object.fromEntries(
        Object.entries(given)
          .filter(([key, value]) => !baseProperties.has(key) && typeof value === 'string')
          .map(([key, value]) => [key, String(value)]),
      ),
      created_at: seconds(),
      updated_at: seconds(),
    };
    images.set(image.id, image);
    return {
      status: 201,
      headers: { ...importHeaders, location: `${request.baseUrl}/v2/images/${image.id}` },
      body: shown(image),
    };
  }

  async #upload({ request, caller }: Call, imageId: string): Promise<Reply> {
    const type = request.headers['content-type'] ?? 'text/plain';
    if (type !== 'application/octet-stream') {
      throw failure(415, '', `The request media type ${type} is not supported by this server.\n`);
    }
    const image = this.#image(caller, imageId);
    if (image.disk_format === null || image.container_format === null) {
      throw failure(400, 'Properties disk_format, container_format must be set prior to saving data.');
    }
    if (image.status !== 'queued') {
      throw failure(409, `Image status transition from ${image.status} to saving is not allowed`);
    }
    image.status = 'saving';
    try {
      await this.#receive(request, image);
    } catch (error) {
      // A broken upload leaves the record as it was, ready for another one.
      if (this.#world.state.images.get(imageId) === image) {
        image.status = 'queued';
      }
      throw error;
    }
    return { status: 204, headers: { ...HTML, 'content-length': '0' } };
  }

  async #receive(request: ApiRequest, image: Image): Promise<void> {
    const { images } = this.#world.state;
    const md5 = createHash('md5');
    const sha512 = createHash('sha512');
    const kept: Buffer[] = [];
    const limit = this.#world.quotas.image_size;
    let size = 0;
    // A refusal is still to be sent on this connection.
    const chunks = request.stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    for await (const chunk of chunks) {
      size += chunk.length;
      if (limit >= 0 && size > limit) {
        throw failure(413, 'Image exceeds the storage quota: The size of the data will exceed the limit.');
      }
      md5.update(chunk);
      sha512.update(chunk);
      if (this.#world.options.keepImageBytes) {
        kept.push(chunk);
      }
    }
    if (images.get(image.id) !== image) {
      throw failure(410, 'Image was deleted during the upload.');
    }
    image.size = size;
    image.checksum = md5.digest('hex');
    image.os_hash_value = sha512.digest('hex');
    image.status = 'active';
    image.updated_at = seconds();
    if (this.#world.options.keepImageBytes) {
      this.#world.imageBytes.set(image.id, Buffer.concat(kept));
    }
  }

  #download({ caller }: Call, imageId: string): Reply {
    const image = this.#image(caller, imageId);
    const bytes = this.#world.imageBytes.get(image.id);
    return bytes
      ? { status: 200, headers: { 'content-type': 'application/octet-stream' }, body: bytes }
      : { status: 204 };
  }

  async #patch({ request, caller }: Call, imageId: string): Promise<Reply> {
    const type = request.headers['content-type'] ?? 'text/plain';
    if (!/^application\/openstack-images-v2\.[01]-json-patch$/.test(type)) {
      throw failure(415, '', `The request media type ${type} is not supported by this server.\n`);
    }
    const image = this.#image(caller, imageId);
    const operations: unknown = JSON.parse(await request.text());
    for (const operation of Array.isArray(operations) ? operations : []) {
      if (!isObject(operation)) {
        continue;
      }
      const key = String(operation.path).slice(1);
      if (key === 'protected') {
        image.protected = operation.value === true;
      } else if (key === 'name') {
        image.name = String(operation.value);
      } else if (operation.op === 'remove') {
        delete image.properties[key];
      } else {
        image.properties[key] = String(operation.value);
      }
    }
    return { status: 200, body: shown(image) };
  }

  #delete({ caller }: Call, imageId: string): Reply {
    const { images, deletedImages } = this.#world.state;
    const image = images.get(imageId);
    if (!image || !this.#visible(image, caller)) {
      throw failure(404, `Failed to find image ${imageId} to delete`);
    }
    if (!caller.admin && image.owner !== caller.projectId) {
      throw failure(403, 'You do not own this image');
    }
    if (image.protected) {
      throw failure(403, `Image ${imageId} is protected and cannot be deleted.`);
    }
    images.delete(imageId);
    deletedImages.add(imageId);
    this.#world.imageBytes.delete(imageId);
    return { status: 204, headers: HTML };
  }
}

/** Before anything else; other names that only Glance sets are looked at when the document as such is right. */
function checkLinks(given: Record<string, unknown>): void {
  const link = Object.keys(given).find((key) => links.includes(key));
  if (link !== undefined) {
    throw failure(403, `Attribute '${link}' is read-only.`);
  }
}

function checkNames(given: Record<string, unknown>, caller: Caller): void {
  for (const key of Object.keys(given)) {
    if (readOnly.includes(key)) {
      throw failure(403, `Attribute '${key}' is read-only.`);
    }
    if (key === 'locations') {
      throw failure(403, "Attribute 'locations' is reserved.");
    }
    if (reservedByDatabase.includes(key) || key.startsWith('os_glance_')) {
      throw failure(403, `Attribute '${key}' is reserved.`, 'Access was denied to this resource.');
    }
    if (key.length > 255) {
      throw failure(400, 'Custom property should not be greater than 255 characters.');
    }
  }
  if (given.owner !== undefined && given.owner !== caller.projectId && !caller.admin) {
    throw failure(403, `You are not permitted to create images owned by '${given.owner}'.`);
  }
}

function checkDocument(given: Record<string, unknown>): void {
  const found = violation(createSchema, given);
  if (found) {
    throw failure(400, `Provided object does not match schema 'image': ${found.message}`);
  }
  const custom = Object.keys(given).filter((key) => !baseProperties.has(key));
  if (custom.length > 128) {
    throw failure(
      413,
      `The limit has been exceeded on the number of allowed image properties. Attempted: ${custom.length}, Maximum: 128`,
    );
  }
  const long = Object.values(given).find((value) => typeof value === 'string' && value.length > 65_535);
  if (long !== undefined) {
    throw new ApiError(
      htmlError(
        500,
        '',
        'The server has either erred or is incapable of performing the requested operation.',
      ),
    );
  }
}

async function documentOf(request: ApiRequest): Promise<Record<string, unknown>> {
  const content = await request.text();
  if (content === '') {
    throw failure(400, 'Body expected in request.');
  }
  let body: unknown;
  try {
    body = JSON.parse(content);
  } catch {
    throw failure(400, 'Malformed JSON in request body.');
  }
  if (!isObject(body)) {
    throw new ApiError(
      htmlError(
        500,
        '',
        'The server has either erred or is incapable of performing the requested operation.',
      ),
    );
  }
  return body;
}

function shown(image: Image): Record<string, unknown> {
  const { properties, members: _, ...base } = image;
  return {
    ...properties,
    ...base,
    virtual_size: image.size,
    os_hash_algo: image.os_hash_value === null ? null : 'sha512',
    self: `/v2/images/${image.id}`,
    file: `/v2/images/${image.id}/file`,
    schema: '/v2/schemas/image',
    ...(image.size !== null && { stores: 'file' }),
  };
}

function shownMember(image: Image, member: string): Record<string, unknown> {
  return {
    image_id: image.id,
    member_id: member,
    status: image.members[member],
    schema: '/v2/schemas/member',
  };
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function failure(status: number, detail: string, explanation?: string): ApiError {
  return new ApiError(htmlError(status, detail, explanation), detail || python(status));
}
