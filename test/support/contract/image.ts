import { createHash, randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { OpenStackClient } from '../openstack-client.ts';
import {
  type Body,
  type Check,
  type Context,
  done,
  errorOf,
  get,
  keysOf,
  nobody,
  post,
  put,
  type Refusal,
  type Request,
  remove,
  send,
} from './probes.ts';

const image = (more: Record<string, unknown>) => (): Request =>
  post('image', '/images', { name: 'contract', ...more });

const readOnly: Record<string, unknown> = {
  status: 'active',
  size: 1,
  checksum: 'x',
  created_at: 'x',
  self: 'x',
  file: 'x',
  schema: 'x',
  stores: 'x',
  direct_url: 'x',
};

export const imageRefusals: Refusal[] = [
  ...(
    [
      ['an unknown path', get('image', '/no'), 404, 'The resource could not be found.'],
      ['an unknown image', get('image', '/images/no'), 404, 'No image found with ID no'],
      [
        'deleting an unknown image',
        remove('image', `/images/${nobody}`),
        404,
        `Failed to find image ${nobody} to delete`,
      ],
      [
        'an unknown method',
        { method: 'PUT', service: 'image', path: '/images' },
        405,
        'The method PUT is not allowed for this resource.',
      ],
      ['an unknown sort key', get('image', '/images?sort_key=foo'), 400, /^Invalid sort key: foo\./],
      [
        'a body that is no JSON',
        post('image', '/images', '{', { 'content-type': 'application/json' }),
        400,
        'Malformed JSON in request body.',
      ],
      ['no body', { method: 'POST', service: 'image', path: '/images' }, 400, 'Body expected in request.'],
    ] as [string, Request, number, string | RegExp][]
  ).map(
    ([name, request, status, message]): Refusal => ({
      name,
      request: () => request,
      status,
      kind: 'html',
      message,
    }),
  ),
  ...Object.entries(readOnly).map(
    ([key, value]): Refusal => ({
      name: `the reserved name ${key}`,
      request: image({ [key]: value }),
      status: 403,
      kind: 'html',
      message: `Attribute '${key}' is read-only.`,
    }),
  ),
  {
    name: 'the reserved name locations',
    request: image({ locations: [] }),
    status: 403,
    kind: 'html',
    message: "Attribute 'locations' is reserved.",
  },
  {
    name: 'the reserved name deleted',
    request: image({ deleted: 'x' }),
    status: 403,
    kind: 'html',
    message: "Access was denied to this resource. Attribute 'deleted' is reserved.",
  },
  {
    name: 'somebody else as owner',
    request: image({ owner: 'x' }),
    status: 403,
    kind: 'html',
    message: "You are not permitted to create images owned by 'x'.",
  },
  {
    name: 'public visibility',
    request: image({ visibility: 'public' }),
    status: 403,
    kind: 'html',
    message: 'You are not authorized to complete publicize_image action.',
  },
  ...(
    [
      [
        'a property that is a number',
        { foo: 1 },
        /^Provided object does not match schema 'image': 1 is not of type 'string'/,
      ],
      [
        'a property that is null',
        { foo: null },
        /^Provided object does not match schema 'image': None is not of type 'string'/,
      ],
      [
        'a property that is a boolean',
        { auto_disk_config: true },
        /^Provided object does not match schema 'image': True is not of type 'string'/,
      ],
      [
        'an unknown disk format',
        { disk_format: 'no' },
        /^Provided object does not match schema 'image': 'no' is not one of \[None, 'ami'/,
      ],
      [
        'an unknown visibility',
        { visibility: 'no' },
        /^Provided object does not match schema 'image': 'no' is not one of/,
      ],
      [
        'an unknown status',
        { status: 'x' },
        /^Provided object does not match schema 'image': 'x' is not one of \['queued'/,
      ],
      [
        'a size that is no number',
        { size: 'x' },
        /^Provided object does not match schema 'image': 'x' is not of type 'null', 'integer'/,
      ],
      [
        'an id that is no UUID',
        { id: 'no' },
        /^Provided object does not match schema 'image': 'no' does not match/,
      ],
      [
        'tags that are no list',
        { tags: 'a' },
        /^Provided object does not match schema 'image': 'a' is not of type 'array'/,
      ],
      [
        'min_disk that is no number',
        { min_disk: 'a' },
        /^Provided object does not match schema 'image': 'a' is not of type 'integer'/,
      ],
      ['a name that is too long', { name: 'k'.repeat(256) }, /is too long/],
      [
        'a property name that is too long',
        { ['k'.repeat(256)]: 'x' },
        'Custom property should not be greater than 255 characters.',
      ],
    ] as [string, Record<string, unknown>, string | RegExp][]
  ).map(
    ([name, more, message]): Refusal => ({ name, request: image(more), status: 400, kind: 'html', message }),
  ),
];

const octets = { 'content-type': 'application/octet-stream' };

async function makeImage(
  context: Context,
  cleanup: (undo: () => Promise<unknown>) => void,
  more: Record<string, unknown> = {},
): Promise<Body> {
  const made = await done(context, image({ disk_format: 'raw', container_format: 'bare', ...more })(), 201);
  cleanup(() => send(context, remove('image', `/images/${made.id}`)));
  return made;
}

function upload(imageId: unknown, body: string, headers = octets): Request {
  return { method: 'PUT', service: 'image', path: `/images/${imageId}/file`, body, headers };
}

const imageKeys = [
  'checksum',
  'container_format',
  'created_at',
  'disk_format',
  'file',
  'id',
  'min_disk',
  'min_ram',
  'name',
  'os_hash_algo',
  'os_hash_value',
  'os_hidden',
  'owner',
  'protected',
  'schema',
  'self',
  'size',
  'status',
  'tags',
  'updated_at',
  'virtual_size',
  'visibility',
];

export const imageChecks: Check[] = [
  {
    name: 'an image is queued, takes its data once, is active',
    run: async (context, cleanup) => {
      const created = await send(
        context,
        image({ disk_format: 'raw', container_format: 'bare', visibility: 'private', os_distro: 'ubuntu' })(),
      );
      const made = created.body as Record<string, unknown>;
      cleanup(() => send(context, remove('image', `/images/${made.id}`)));
      const uploaded = await send(context, upload(made.id, 'abc'));
      const shown = await done(context, get('image', `/images/${made.id}`), 200);
      const again = await send(context, upload(made.id, 'abc'));
      const deleted = await send(context, remove('image', `/images/${made.id}`));
      const gone = await send(context, get('image', `/images/${made.id}`));

      expect(created.status).toBe(201);
      expect(created.headers.get('location')).toMatch(new RegExp(`/v2/images/${made.id}$`));
      expect(keysOf(made)).toEqual([...imageKeys, 'os_distro'].sort());
      expect(made).toMatchObject({
        status: 'queued',
        size: null,
        checksum: null,
        visibility: 'private',
        owner: context.cloud.project_id,
        os_distro: 'ubuntu',
        self: `/v2/images/${made.id}`,
      });
      expect({ status: uploaded.status, text: uploaded.text }).toEqual({ status: 204, text: '' });
      expect(keysOf(shown)).toEqual([...imageKeys, 'os_distro', 'stores'].sort());
      expect(shown).toMatchObject({
        status: 'active',
        size: 3,
        checksum: createHash('md5').update('abc').digest('hex'),
        os_hash_algo: 'sha512',
        os_hash_value: createHash('sha512').update('abc').digest('hex'),
      });
      expect({ status: again.status, ...errorOf(again) }).toEqual({
        status: 409,
        kind: 'html',
        message: 'Image status transition from active to saving is not allowed',
      });
      expect({ status: deleted.status, text: deleted.text }).toEqual({ status: 204, text: '' });
      expect(gone.status).toBe(404);
    },
  },
  {
    name: 'an id chosen by the client is given once, also after deletion',
    run: async (context, cleanup) => {
      const id = randomUUID();
      const request = image({ id, disk_format: 'raw', container_format: 'bare' });
      const made = await done(context, request(), 201);
      cleanup(() => send(context, remove('image', `/images/${id}`)));

      const twice = await send(context, request());
      await done(context, remove('image', `/images/${id}`), 204);
      const afterwards = await send(context, request());

      expect(made.id).toBe(id);
      for (const answer of [twice, afterwards]) {
        expect({ status: answer.status, ...errorOf(answer) }).toEqual({
          status: 409,
          kind: 'html',
          message: `Image ID ${id} already exists!`,
        });
      }
    },
  },
  {
    name: 'images by a property of their own',
    run: async (context, cleanup) => {
      const mark = randomUUID();
      const made = await makeImage(context, cleanup, { bosh_cpi_invocation: mark, bosh_cpi_role: 'main' });

      const both = await done(
        context,
        get('image', `/images?bosh_cpi_invocation=${mark}&bosh_cpi_role=main`),
        200,
      );
      const other = await done(
        context,
        get('image', `/images?bosh_cpi_invocation=${mark}&bosh_cpi_role=kernel`),
        200,
      );

      expect(both.images).toMatchObject([{ id: made.id, bosh_cpi_invocation: mark }]);
      expect(keysOf(both)).toEqual(['first', 'images', 'schema']);
      expect(other.images).toEqual([]);
    },
  },
  {
    name: 'hidden images are listed only when asked for',
    run: async (context, cleanup) => {
      const mark = randomUUID();
      const made = await makeImage(context, cleanup, { bosh_cpi_invocation: mark, os_hidden: true });
      const listed = async (query: string): Promise<unknown> =>
        (await done(context, get('image', `/images?bosh_cpi_invocation=${mark}${query}`), 200)).images;

      expect(await listed('')).toEqual([]);
      expect(await listed('&os_hidden=true')).toMatchObject([{ id: made.id }]);
      expect(await done(context, get('image', `/images/${made.id}`), 200)).toMatchObject({ os_hidden: true });
    },
  },
  {
    name: 'an image of another project is found by its id when it is shared, and listed when that is accepted',
    run: async (context, cleanup) => {
      const { cloud } = context;
      const owner = await OpenStackClient.login(cloud, cloud.admin);
      const { body } = await owner.send('POST', 'image', '/images', {
        body: { name: 'contract', visibility: 'shared', bosh_cpi_invocation: randomUUID() },
      });
      const { id, bosh_cpi_invocation: mark } = body as Record<string, string>;
      cleanup(() => owner.send('DELETE', 'image', `/images/${id}`));
      const seen = async (): Promise<unknown> => {
        const { status } = await send(context, get('image', `/images/${id}`));
        const list = await done(context, get('image', `/images?bosh_cpi_invocation=${mark}`), 200);
        return [status, Array.isArray(list.images) ? list.images.length : undefined];
      };
      const member = (status: string): Promise<unknown> =>
        send(context, put('image', `/images/${id}/members/${cloud.project_id}`, { status }));

      expect(await seen()).toEqual([404, 0]);
      await owner.send('POST', 'image', `/images/${id}/members`, { body: { member: cloud.project_id } });
      expect(await seen()).toEqual([200, 0]);
      await member('accepted');
      expect(await seen()).toEqual([200, 1]);
      await member('rejected');
      expect(await seen()).toEqual([200, 0]);
    },
  },
  {
    name: 'data needs formats, the right content type, an image',
    run: async (context, cleanup) => {
      const bare = await done(context, image({})(), 201);
      cleanup(() => send(context, remove('image', `/images/${bare.id}`)));
      const ready = await makeImage(context, cleanup);
      const refused = async (request: Request): Promise<unknown> => {
        const answer = await send(context, request);
        return { status: answer.status, message: errorOf(answer).message };
      };

      expect(await refused(upload(bare.id, 'abc'))).toEqual({
        status: 400,
        message: 'Properties disk_format, container_format must be set prior to saving data.',
      });
      expect(await refused(upload(ready.id, 'abc', { 'content-type': 'application/json' }))).toEqual({
        status: 415,
        message: 'The request media type application/json is not supported by this server.',
      });
      expect(await refused(upload(nobody, 'abc'))).toEqual({
        status: 404,
        message: `No image found with ID ${nobody}`,
      });
      expect(await done(context, get('image', `/images/${ready.id}`), 200)).toMatchObject({
        status: 'queued',
      });
    },
  },
  {
    name: 'kernel and ramdisk ids may be those of queued images',
    run: async (context, cleanup) => {
      const kernel = await makeImage(context, cleanup, { disk_format: 'aki', container_format: 'aki' });

      const main = await makeImage(context, cleanup, {
        disk_format: 'ami',
        container_format: 'ami',
        kernel_id: kernel.id,
        ramdisk_id: nobody,
      });

      expect(main).toMatchObject({ kernel_id: kernel.id, ramdisk_id: nobody, disk_format: 'ami' });
    },
  },
  {
    name: 'a protected image stays, a deactivated one boots nothing',
    run: async (context, cleanup) => {
      const made = await makeImage(context, cleanup);
      const protect = (value: boolean): Request => ({
        method: 'PATCH',
        service: 'image',
        path: `/images/${made.id}`,
        body: JSON.stringify([{ op: 'replace', path: '/protected', value }]),
        headers: { 'content-type': 'application/openstack-images-v2.1-json-patch' },
      });
      await done(context, upload(made.id, 'abc'), 204);
      await done(context, protect(true), 200);
      cleanup(() => send(context, protect(false)));
      const server = {
        name: 'contract',
        imageRef: made.id,
        flavorRef: context.cloud.flavors['m1.tiny'],
        networks: [{ uuid: context.cloud.networks['net-a'].id }],
      };

      const refused = await send(context, remove('image', `/images/${made.id}`));
      await done(
        context,
        { method: 'POST', service: 'image', path: `/images/${made.id}/actions/deactivate` },
        204,
      );
      const shown = await done(context, get('image', `/images/${made.id}`), 200);
      const boot = await send(context, post('compute', '/servers', { server }));

      expect({ status: refused.status, ...errorOf(refused) }).toEqual({
        status: 403,
        kind: 'html',
        message: `Image ${made.id} is protected and cannot be deleted.`,
      });
      expect(shown.status).toBe('deactivated');
      expect({ status: boot.status, ...errorOf(boot) }).toEqual({
        status: 400,
        kind: 'badRequest',
        message: `Image ${made.id} is not active.`,
      });
    },
  },
];
