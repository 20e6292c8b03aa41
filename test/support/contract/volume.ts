import { expect } from 'vitest';
import {
  type Check,
  type Context,
  done,
  errorOf,
  get,
  keysOf,
  makeServer,
  makeVolume,
  nobody,
  post,
  put,
  type Refusal,
  type Request,
  remove,
  send,
  snapshotIs,
  volumeIs,
} from './probes.ts';

const volume = (more: Record<string, unknown>) => (): Request =>
  post('volumev3', '/volumes', { volume: { size: 1, ...more } });

const badRequest = (name: string, request: () => Request, message: string | RegExp): Refusal => ({
  name,
  request,
  status: 400,
  kind: 'badRequest',
  message,
});

const notFound = (name: string, request: () => Request, message: string): Refusal => ({
  name,
  request,
  status: 404,
  kind: 'itemNotFound',
  message,
});

const long = 'k'.repeat(256);

export const volumeRefusals: Refusal[] = [
  {
    name: 'an unknown path',
    request: () => get('volumev3', '/no'),
    status: 404,
    kind: 'html',
    message: 'The resource could not be found.',
  },
  {
    name: 'an unknown method',
    request: () => ({ method: 'PATCH', service: 'volumev3', path: '/volumes' }),
    status: 404,
    kind: 'html',
    message: 'The resource could not be found.',
  },
  {
    name: 'plain text',
    request: () => post('volumev3', '/volumes', '{"volume":{"size":1}}', { 'content-type': 'text/plain' }),
    status: 415,
    kind: 'badMediaType',
    message: 'Unsupported Content-Type',
  },
  {
    name: 'a microversion above the highest',
    request: () => get('volumev3', '/volumes', { 'openstack-api-version': 'volume 3.99' }),
    status: 406,
    kind: 'computeFault',
    message: 'Version 3.99 is not supported by the API. Minimum is 3.0 and maximum is 3.70.',
  },
  notFound('an unknown volume', () => get('volumev3', '/volumes/no'), 'Volume no could not be found.'),
  notFound('an unknown snapshot', () => get('volumev3', '/snapshots/no'), 'Snapshot no could not be found.'),
  notFound(
    'deleting an unknown volume',
    () => remove('volumev3', `/volumes/${nobody}`),
    `Volume ${nobody} could not be found.`,
  ),
  notFound(
    'deleting an unknown snapshot',
    () => remove('volumev3', `/snapshots/${nobody}`),
    `Snapshot ${nobody} could not be found.`,
  ),
  notFound(
    'an action on an unknown volume',
    () => post('volumev3', '/volumes/no/action', { 'os-extend': { new_size: 2 } }),
    'Volume no could not be found.',
  ),
  notFound(
    'metadata of an unknown volume',
    () => post('volumev3', '/volumes/no/metadata', { metadata: { a: 'b' } }),
    'Volume no could not be found.',
  ),
  notFound(
    'a snapshot of an unknown volume',
    () => post('volumev3', '/snapshots', { snapshot: { volume_id: nobody } }),
    `Volume ${nobody} could not be found.`,
  ),
  notFound('an unknown type', volume({ volume_type: 'no' }), 'Volume type with name no could not be found.'),
  badRequest('an unknown zone', volume({ availability_zone: 'no' }), "Availability zone 'no' is invalid."),
  badRequest(
    'a size that is no number',
    volume({ size: 'abc' }),
    "Invalid input for field/attribute size. Value: abc. 'abc' does not match '^[0-9]+$'",
  ),
  badRequest(
    'size 0',
    volume({ size: 0 }),
    'Invalid input for field/attribute size. Value: 0. 0 is less than the minimum of 1',
  ),
  badRequest(
    'a fractional size',
    volume({ size: 1.5 }),
    "Invalid input for field/attribute size. Value: 1.5. 1.5 is not of type 'integer', 'string', 'null'",
  ),
  badRequest('no size', volume({ size: undefined }), /^The server could not comply with the request/),
  badRequest(
    'a name that is too long',
    volume({ name: long }),
    'Invalid input received: name has 256 characters, more than 255.',
  ),
  badRequest(
    'metadata that is a number',
    volume({ metadata: { a: 1 } }),
    "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'",
  ),
  badRequest(
    'a body without volume',
    () => post('volumev3', '/volumes', {}),
    "'volume' is a required property",
  ),
  badRequest(
    'a body that is no JSON',
    () => post('volumev3', '/volumes', '{', { 'content-type': 'application/json' }),
    'Malformed request body',
  ),
  badRequest(
    'a snapshot of nothing',
    () => post('volumev3', '/snapshots', { snapshot: { name: 'x' } }),
    "Invalid input for field/attribute snapshot. Value: {'name': 'x'}. 'volume_id' is a required property",
  ),
  badRequest(
    'an unknown attribute of a snapshot',
    () => post('volumev3', '/snapshots', { snapshot: { volume_id: nobody, bogus: 1 } }),
    /Additional properties are not allowed \('bogus' was unexpected\)$/,
  ),
  badRequest(
    'snapshot metadata that is a number',
    () => post('volumev3', '/snapshots', { snapshot: { volume_id: nobody, metadata: { a: 1 } } }),
    "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'",
  ),
];

const volumeKeys = [
  'attachments',
  'availability_zone',
  'bootable',
  'consistencygroup_id',
  'created_at',
  'description',
  'encrypted',
  'id',
  'links',
  'metadata',
  'multiattach',
  'name',
  'replication_status',
  'size',
  'snapshot_id',
  'source_volid',
  'status',
  'updated_at',
  'user_id',
  'volume_type',
];

async function tried(context: Context, request: Request): Promise<{ status: number; message: string }> {
  const answer = await send(context, request);
  return { status: answer.status, message: answer.status >= 400 ? errorOf(answer).message : '' };
}

export const volumeChecks: Check[] = [
  {
    name: 'a volume is creating, then available; it is deleting, then gone',
    run: async (context, cleanup) => {
      const answer = await send(
        context,
        volume({
          name: 'contract-life',
          description: '',
          volume_type: 'slow',
          availability_zone: 'az2',
          metadata: { a: 'b' },
        })(),
      );
      const made = (answer.body as { volume: Record<string, unknown> }).volume;
      const volumeId = String(made.id);
      cleanup(() => send(context, remove('volumev3', `/volumes/${volumeId}`)));
      const states = await volumeIs(context, volumeId, 'available');
      const { volume: shown } = await done(context, get('volumev3', `/volumes/${volumeId}`), 200);
      const deleted = await send(context, remove('volumev3', `/volumes/${volumeId}`));
      const gone = await volumeIs(context, volumeId, 'gone');

      expect(answer.status).toBe(202);
      expect(keysOf(made)).toEqual(volumeKeys);
      expect(made).toMatchObject({
        status: 'creating',
        size: 1,
        name: 'contract-life',
        description: '',
        volume_type: 'slow',
        availability_zone: 'az2',
        bootable: 'false',
        metadata: { a: 'b' },
        attachments: [],
        updated_at: null,
      });
      expect(states.filter((state) => !['creating', 'available'].includes(state))).toEqual([]);
      expect(keysOf(shown)).toEqual([...volumeKeys, 'os-vol-tenant-attr:tenant_id'].sort());
      expect({ status: deleted.status, text: deleted.text }).toEqual({ status: 202, text: '' });
      expect(gone.filter((state) => !['deleting', 'gone'].includes(state))).toEqual([]);
    },
  },
  {
    name: 'default type and zone; empty strings and nulls mean default',
    run: async (context, cleanup) => {
      for (const more of [
        {},
        { volume_type: null },
        { volume_type: '' },
        { availability_zone: null },
        { unknown: true },
      ]) {
        const volumeId = await makeVolume(context, cleanup, more);

        const { volume: shown } = await done(context, get('volumev3', `/volumes/${volumeId}`), 200);
        expect(shown).toMatchObject({ volume_type: 'fast', availability_zone: 'az1' });
        await volumeIs(context, volumeId, 'available');
      }
    },
  },
  {
    name: 'volumes by name: exactly that name',
    run: async (context, cleanup) => {
      const volumeId = await makeVolume(context, cleanup, { name: 'contract-by-name' });
      await volumeIs(context, volumeId, 'available');
      const named = async (name: string): Promise<unknown> =>
        (await done(context, get('volumev3', `/volumes?name=${name}`), 200)).volumes;

      expect(await named('contract-by-name')).toMatchObject([{ id: volumeId, name: 'contract-by-name' }]);
      expect(keysOf(((await named('contract-by-name')) as object[])[0])).toEqual(['id', 'links', 'name']);
      expect(await named('contract-by')).toEqual([]);
      const detail = await done(context, get('volumev3', '/volumes/detail?name=contract-by-name'), 200);
      expect(detail.volumes).toMatchObject([{ id: volumeId, status: 'available' }]);
    },
  },
  {
    name: 'os-extend: larger only, detached only',
    run: async (context, cleanup) => {
      const volumeId = await makeVolume(context, cleanup);
      await volumeIs(context, volumeId, 'available');
      const extend = (size: unknown): Request =>
        post('volumev3', `/volumes/${volumeId}/action`, { 'os-extend': { new_size: size } });

      expect(await tried(context, extend(1))).toEqual({
        status: 400,
        message:
          'Invalid input received: New size for extend must be greater than current size. (current: 1, extended: 1).',
      });
      expect(await tried(context, extend('x'))).toMatchObject({ status: 400 });
      expect(await tried(context, extend(0))).toMatchObject({ status: 400 });
      expect(await tried(context, extend(2))).toEqual({ status: 202, message: '' });
      const states = await volumeIs(context, volumeId, 'available');
      const { volume: shown } = await done(context, get('volumev3', `/volumes/${volumeId}`), 200);
      const unknown = await tried(context, post('volumev3', `/volumes/${volumeId}/action`, { bogus: {} }));

      expect(states.filter((state) => !['extending', 'available'].includes(state))).toEqual([]);
      expect(shown?.size).toBe(2);
      expect(unknown).toEqual({
        status: 400,
        message:
          'There is no such action: bogus. Verify the request body and Content-Type header and try again.',
      });
    },
  },
  {
    name: 'os-retype: silent where nothing comes of it',
    run: async (context, cleanup) => {
      const volumeId = await makeVolume(context, cleanup, { volume_type: 'fast' });
      await volumeIs(context, volumeId, 'available');
      const retype = (type: string, policy: string): Promise<{ status: number; message: string }> =>
        tried(
          context,
          post('volumev3', `/volumes/${volumeId}/action`, {
            'os-retype': { new_type: type, migration_policy: policy },
          }),
        );
      const type = async (): Promise<unknown> => {
        await volumeIs(context, volumeId, 'available');
        return (await done(context, get('volumev3', `/volumes/${volumeId}`), 200)).volume?.volume_type;
      };

      expect(await retype('no', 'never')).toEqual({
        status: 404,
        message: 'Volume type with name no could not be found.',
      });
      expect(await retype('slow', 'sometimes')).toMatchObject({ status: 400 });
      const same = await retype('fast', 'never');
      const sameById = await retype(context.cloud.volume_types.fast, 'never');
      expect(same).toMatchObject({
        status: 400,
        message: expect.stringMatching(/requested type has to be different/),
      });
      expect(sameById).toEqual(same);
      expect(await retype('slow', 'never')).toEqual({ status: 202, message: '' });
      expect(await type()).toBe('fast');
      expect(await retype('slow', 'on-demand')).toEqual({ status: 202, message: '' });
      await expect.poll(type, { timeout: 20_000 }).toBe('slow');
      expect(await retype(context.cloud.volume_types.fast, 'on-demand')).toEqual({
        status: 202,
        message: '',
      });
      await expect.poll(type, { timeout: 20_000 }).toBe('fast');
    },
  },
  {
    name: 'metadata: POST merges, PUT replaces, slashes are fine',
    run: async (context, cleanup) => {
      const volumeId = await makeVolume(context, cleanup, { metadata: { a: '1' } });
      await volumeIs(context, volumeId, 'available');
      const path = `/volumes/${volumeId}/metadata`;
      const write = (metadata: unknown): Request => post('volumev3', path, { metadata });

      expect(await done(context, write({ 'b/c': '2' }), 200)).toEqual({ metadata: { a: '1', 'b/c': '2' } });
      expect(await done(context, write({}), 200)).toEqual({ metadata: { a: '1', 'b/c': '2' } });
      expect(await tried(context, write({ n: 1 }))).toMatchObject({ status: 400 });
      expect(await tried(context, write({ n: null }))).toMatchObject({ status: 400 });
      expect(await tried(context, write({ n: long }))).toMatchObject({ status: 400 });
      expect(await tried(context, write({ '': 'x' }))).toMatchObject({ status: 400 });
      expect(await tried(context, post('volumev3', path, {}))).toEqual({
        status: 400,
        message: "'metadata' is a required property",
      });
      expect(await done(context, put('volumev3', path, { metadata: { z: '9' } }), 200)).toEqual({
        metadata: { z: '9' },
      });
      const { volume: shown } = await done(
        context,
        put('volumev3', `/volumes/${volumeId}`, { volume: { metadata: { y: '8' } } }),
        200,
      );
      expect(shown?.metadata).toEqual({ y: '8' });
    },
  },
  {
    name: 'a snapshot keeps its volume, and goes on its own',
    run: async (context, cleanup) => {
      const volumeId = await makeVolume(context, cleanup);
      await volumeIs(context, volumeId, 'available');
      const { snapshot: made } = await done(
        context,
        post('volumev3', '/snapshots', {
          snapshot: {
            volume_id: volumeId,
            name: 'contract',
            description: 'd/j/0',
            force: true,
            metadata: { a: 'b' },
          },
        }),
        202,
      );
      const snapshotId = String(made?.id);
      cleanup(async () => {
        await send(context, remove('volumev3', `/snapshots/${snapshotId}`));
        await snapshotIs(context, snapshotId, 'gone');
      });
      const states = await snapshotIs(context, snapshotId, 'available');
      const { snapshot: shown } = await done(context, get('volumev3', `/snapshots/${snapshotId}`), 200);
      const { snapshots: listed } = await done(
        context,
        get('volumev3', `/snapshots?volume_id=${volumeId}`),
        200,
      );
      const blocked = await tried(context, remove('volumev3', `/volumes/${volumeId}`));
      const deleted = await send(context, remove('volumev3', `/snapshots/${snapshotId}`));
      const gone = await snapshotIs(context, snapshotId, 'gone');

      expect(made).toMatchObject({ status: 'creating', size: 1, metadata: { a: 'b' }, updated_at: null });
      expect(keysOf(made)).toEqual([
        'created_at',
        'description',
        'id',
        'metadata',
        'name',
        'size',
        'status',
        'updated_at',
        'volume_id',
      ]);
      expect(states.filter((state) => !['creating', 'available'].includes(state))).toEqual([]);
      expect(keysOf(shown)).toContain('os-extended-snapshot-attributes:progress');
      expect(listed).toMatchObject([{ id: snapshotId, name: 'contract' }]);
      expect(blocked).toMatchObject({ status: 400, message: expect.stringMatching(/have snapshots/) });
      expect({ status: deleted.status, text: deleted.text }).toEqual({ status: 202, text: '' });
      expect(gone.filter((state) => !['deleting', 'gone'].includes(state))).toEqual([]);
    },
  },
  {
    name: 'a snapshot of a volume in use needs force; extending it is refused',
    run: async (context, cleanup) => {
      const volumeId = await makeVolume(context, cleanup);
      const serverId = await makeServer(context, cleanup);
      await volumeIs(context, volumeId, 'available');
      await done(
        context,
        post('compute', `/servers/${serverId}/os-volume_attachments`, { volumeAttachment: { volumeId } }),
        200,
      );
      await volumeIs(context, volumeId, 'in-use');

      const plain = await tried(
        context,
        post('volumev3', '/snapshots', { snapshot: { volume_id: volumeId } }),
      );
      const extend = await tried(
        context,
        post('volumev3', `/volumes/${volumeId}/action`, { 'os-extend': { new_size: 2 } }),
      );
      const { snapshot } = await done(
        context,
        post('volumev3', '/snapshots', { snapshot: { volume_id: volumeId, force: true } }),
        202,
      );
      cleanup(async () => {
        await send(context, remove('volumev3', `/snapshots/${snapshot?.id}`));
        await snapshotIs(context, String(snapshot?.id), 'gone');
      });
      await snapshotIs(context, String(snapshot?.id), 'available');

      expect(plain).toEqual({
        status: 400,
        message: `Invalid volume: Volume ${volumeId} status must be available, but current status is: in-use.`,
      });
      expect(extend).toEqual({
        status: 400,
        message: `Invalid volume: Volume ${volumeId} status must be '{'status': 'available'}' to extend, currently in-use.`,
      });
    },
  },
];
