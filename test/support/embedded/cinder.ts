import { ApiError, type ApiRequest, type Caller, htmlError, isObject, type Reply, Routes } from './http.ts';
import { inputMessage, type Schema, violation } from './schema.ts';
import type { Snapshot, Volume } from './state.ts';
import { micros, uuid, type World } from './world.ts';

/** Block Storage API v3: https://docs.openstack.org/api-ref/block-storage/v3/ */

interface Call {
  request: ApiRequest;
  caller: Caller;
  version: number;
  body: unknown;
}

const metadata: Schema = {
  type: ['object', 'null'],
  patternProperties: { '^[a-zA-Z0-9-_:. /]{1,255}$': { type: 'string', maxLength: 255 } },
  additionalProperties: false,
};
const volumeSize: Schema = {
  type: ['integer', 'string'],
  pattern: '^[0-9]+$',
  minimum: 1,
  maximum: 2147483647,
};
const text: Schema = { type: ['string', 'null'] };
const shortText: Schema = { type: ['string', 'null'], minLength: 0, maxLength: 255 };

const createVolumeSchema: Schema = {
  type: 'object',
  required: ['volume'],
  additionalProperties: false,
  properties: {
    volume: {
      type: 'object',
      properties: {
        name: text,
        description: text,
        volume_type: shortText,
        availability_zone: { type: ['string', 'null'], minLength: 1, maxLength: 255 },
        metadata,
        size: { ...volumeSize, type: ['integer', 'string', 'null'] },
        imageRef: shortText,
        snapshot_id: { anyOf: [{ type: 'string', format: 'uuid' }, { type: 'null' }] },
      },
    },
    'OS-SCH-HNT:scheduler_hints': { type: ['object', 'null'] },
  },
};

const updateVolumeSchema: Schema = {
  type: 'object',
  required: ['volume'],
  additionalProperties: false,
  properties: {
    volume: {
      type: 'object',
      additionalProperties: false,
      properties: { name: text, description: text, metadata },
    },
  },
};

const metadataSchema: Schema = {
  type: 'object',
  required: ['metadata'],
  additionalProperties: false,
  properties: { metadata: { ...metadata, type: 'object' } },
};

const createSnapshotSchema: Schema = {
  type: 'object',
  required: ['snapshot'],
  additionalProperties: false,
  properties: {
    snapshot: {
      type: 'object',
      required: ['volume_id'],
      additionalProperties: false,
      properties: {
        name: shortText,
        description: shortText,
        volume_id: { anyOf: [{ type: 'string', format: 'uuid' }, { type: 'null' }] },
        force: { type: ['boolean', 'string'] },
        metadata,
      },
    },
  },
};

const actionSchemas: Record<string, Schema> = {
  'os-extend': {
    type: 'object',
    required: ['os-extend'],
    additionalProperties: false,
    properties: {
      'os-extend': {
        type: 'object',
        required: ['new_size'],
        additionalProperties: false,
        properties: { new_size: volumeSize },
      },
    },
  },
  'os-retype': {
    type: 'object',
    required: ['os-retype'],
    additionalProperties: false,
    properties: {
      'os-retype': {
        type: 'object',
        required: ['new_type'],
        additionalProperties: false,
        properties: {
          new_type: { type: 'string', minLength: 1, maxLength: 255 },
          migration_policy: { type: ['string', 'null'], enum: ['on-demand', 'never'] },
        },
      },
    },
  },
};

const notDeletable =
  'Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.';

export const highestCinderVersion = 70;

export class Cinder {
  readonly #world: World;
  readonly #zones: string[];
  readonly #routes = new Routes<Call>()
    .on('GET', '/volumes', (call) => this.#listVolumes(call, false))
    .on('GET', '/volumes/detail', (call) => this.#listVolumes(call, true))
    .on('POST', '/volumes', (call) => this.#postVolume(call))
    .on('GET', '/volumes/{}', (call, volumeId) => ({
      status: 200,
      body: { volume: this.#shown(call, this.#volume(call.caller, volumeId), true) },
    }))
    .on('PUT', '/volumes/{}', (call, volumeId) => this.#updateVolume(call, volumeId))
    .on('DELETE', '/volumes/{}', (call, volumeId) => this.#deleteVolume(call, volumeId))
    .on('GET', '/volumes/{}/metadata', (call, volumeId) => ({
      status: 200,
      body: { metadata: this.#volume(call.caller, volumeId).metadata },
    }))
    .on('POST', '/volumes/{}/metadata', (call, volumeId) => this.#writeMetadata(call, volumeId, 'merge'))
    .on('PUT', '/volumes/{}/metadata', (call, volumeId) => this.#writeMetadata(call, volumeId, 'replace'))
    .on('POST', '/volumes/{}/action', (call, volumeId) => this.#act(call, volumeId))
    .on('GET', '/snapshots', (call) => this.#listSnapshots(call))
    .on('GET', '/snapshots/detail', (call) => this.#listSnapshots(call))
    .on('POST', '/snapshots', (call) => this.#createSnapshot(call))
    .on('GET', '/snapshots/{}', (call, snapshotId) => ({
      status: 200,
      body: { snapshot: shownSnapshot(this.#snapshot(call.caller, snapshotId), true) },
    }))
    .on('DELETE', '/snapshots/{}', (call, snapshotId) => this.#deleteSnapshot(call, snapshotId))
    .on('GET', '/types', () => this.#types())
    .on('GET', '/types/{}', (_, typeId) => this.#type(typeId))
    .on('GET', '/os-availability-zone', () => ({
      status: 200,
      body: {
        availabilityZoneInfo: this.#zones.map((zoneName) => ({ zoneName, zoneState: { available: true } })),
      },
    }));

  constructor(world: World, zones: string[]) {
    this.#world = world;
    this.#zones = zones;
  }

  async handle(request: ApiRequest, caller: Caller): Promise<Reply> {
    const path = request.path.replace(/^\/v3/, '');
    const [, project] = path.split('/');
    const rest = project === caller.projectId ? path.slice(project.length + 1) : path;
    const route = this.#routes.find(request.method, rest);
    if (!route || !('run' in route)) {
      return htmlError(404);
    }
    const version = microversion(request);
    if (version > highestCinderVersion) {
      return {
        status: 406,
        headers: { 'openstack-api-version': `volume 3.${version}`, vary: 'OpenStack-API-Version' },
        body: {
          computeFault: {
            code: 406,
            message: `Version 3.${version} is not supported by the API. Minimum is 3.0 and maximum is 3.${highestCinderVersion}.`,
          },
        },
      };
    }
    const headers = { 'openstack-api-version': `volume 3.${version}`, vary: 'OpenStack-API-Version' };
    try {
      const reply = await route.run({ request, caller, version, body: await bodyOf(request) });
      return { ...reply, headers: { ...headers, ...reply.headers } };
    } catch (error) {
      if (error instanceof ApiError) {
        throw new ApiError({ ...error.reply, headers: { ...headers, ...error.reply.headers } });
      }
      throw error;
    }
  }

  #volume(caller: Caller, volumeId: string): Volume {
    const volume = this.#world.state.volumes.get(volumeId);
    if (!volume || !(caller.admin || volume.project_id === caller.projectId)) {
      throw fault('itemNotFound', 404, `Volume ${volumeId} could not be found.`);
    }
    return volume;
  }

  #snapshot(caller: Caller, snapshotId: string): Snapshot {
    const snapshot = this.#world.state.snapshots.get(snapshotId);
    if (!snapshot || !(caller.admin || snapshot.project_id === caller.projectId)) {
      throw fault('itemNotFound', 404, `Snapshot ${snapshotId} could not be found.`);
    }
    return snapshot;
  }

  #listVolumes(call: Call, detail: boolean): Reply {
    const rows = [...this.#world.state.volumes.values()]
      .reverse()
      .filter((volume) => volume.project_id === call.caller.projectId);
    const found = filtered(rows, call.request.query, [
      'name',
      'status',
      'availability_zone',
      'bootable',
      'size',
      'volume_type',
    ]);
    const { page, links } = paged(found, call, 'volumes');
    return {
      status: 200,
      body: {
        volumes: page.map((volume) =>
          detail
            ? this.#shown(call, volume, true)
            : { id: volume.id, name: volume.name, links: linksOf(call, volume.id) },
        ),
        ...(links && { volumes_links: links }),
      },
    };
  }

  #postVolume(call: Call): Reply {
    check(createVolumeSchema, call.body);
    const given = member(call.body, 'volume');
    const volume = this.createVolume(call.caller, {
      name: stringOrNull(given.name),
      description: stringOrNull(given.description),
      size: given.size,
      volumeType: stringOrNull(given.volume_type),
      zone: stringOrNull(given.availability_zone),
      metadata: isObject(given.metadata) ? stringsOf(given.metadata) : {},
      imageId: stringOrNull(given.imageRef),
      snapshotId: stringOrNull(given.snapshot_id),
    });
    return { status: 202, body: { volume: this.#shown(call, volume, false) } };
  }

  /** Also for Nova, which makes the boot volumes. */
  createVolume(
    caller: Caller,
    wanted: {
      name: string | null;
      description: string | null;
      size: unknown;
      volumeType: string | null;
      zone: string | null;
      metadata: Record<string, string>;
      imageId: string | null;
      snapshotId: string | null;
    },
  ): Volume {
    const { state } = this.#world;
    const source = wanted.snapshotId === null ? undefined : this.#snapshot(caller, wanted.snapshotId);
    if ((wanted.size === undefined || wanted.size === null) && !source) {
      throw fault(
        'badRequest',
        400,
        'The server could not comply with the request since it is either malformed or otherwise incorrect.',
      );
    }
    for (const [label, value] of [
      ['name', wanted.name],
      ['description', wanted.description],
    ] as const) {
      if (value !== null && value.length > 255) {
        throw fault(
          'badRequest',
          400,
          `Invalid input received: ${label} has ${value.length} characters, more than 255.`,
        );
      }
    }
    const size = source && wanted.size === undefined ? source.size : Number(wanted.size);
    const type =
      wanted.volumeType === null || wanted.volumeType === '' ? 'fast' : this.#typeName(wanted.volumeType);
    if (wanted.imageId !== null && state.images.get(wanted.imageId)?.status !== 'active') {
      throw fault('badRequest', 400, 'Invalid image identifier or unable to access requested image.');
    }
    const zone = wanted.zone ?? this.#zones[0] ?? 'nova';
    if (!this.#zones.includes(zone)) {
      throw fault('badRequest', 400, `Availability zone '${zone}' is invalid.`);
    }
    this.#checkVolumeQuota(caller.projectId, size);
    const volume: Volume = {
      id: uuid(),
      project_id: caller.projectId,
      user_id: caller.userId,
      name: wanted.name,
      description: wanted.description,
      status: 'creating',
      size,
      volume_type: type,
      availability_zone: zone,
      metadata: wanted.metadata,
      bootable: wanted.imageId !== null,
      snapshot_id: wanted.snapshotId,
      migration_status: null,
      attachments: [],
      created_at: micros(),
      updated_at: null,
    };
    state.volumes.set(volume.id, volume);
    const broken = this.#world.mishap('volume') === true;
    this.#world.later(() => move(volume, ['creating'], broken ? 'error' : 'available'));
    return volume;
  }

  #typeName(nameOrId: string): string {
    const known = [...this.#world.state.volumeTypes.values()].find(
      (type) => type.id === nameOrId || type.name === nameOrId,
    );
    if (!known) {
      throw fault('itemNotFound', 404, `Volume type with name ${nameOrId} could not be found.`);
    }
    return known.name;
  }

  /** For Nova: whether Cinder knows a volume type by this name or id. */
  hasType(nameOrId: string): boolean {
    return [...this.#world.state.volumeTypes.values()].some(
      (type) => type.id === nameOrId || type.name === nameOrId,
    );
  }

  #consumed(projectId: string): { volumes: number; snapshots: number; gigabytes: number } {
    const volumes = [...this.#world.state.volumes.values()].filter((row) => row.project_id === projectId);
    const snapshots = [...this.#world.state.snapshots.values()].filter((row) => row.project_id === projectId);
    const gigabytes = [...volumes, ...snapshots].reduce((sum, row) => sum + row.size, 0);
    return { volumes: volumes.length, snapshots: snapshots.length, gigabytes };
  }

  #checkVolumeQuota(projectId: string, size: number): void {
    const { volumes } = this.#world.quotas;
    this.#checkGigabytes(projectId, size);
    if (volumes >= 0 && this.#consumed(projectId).volumes + 1 > volumes) {
      throw overLimit(
        `VolumeLimitExceeded: Maximum number of volumes allowed (${volumes}) exceeded for quota 'volumes'.`,
      );
    }
  }

  #checkGigabytes(projectId: string, requested: number): void {
    const { gigabytes } = this.#world.quotas;
    const consumed = this.#consumed(projectId).gigabytes;
    if (gigabytes >= 0 && consumed + requested > gigabytes) {
      throw overLimit(
        `VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested ${requested}G, quota is ${gigabytes}G and ${consumed}G has been consumed.`,
      );
    }
  }

  #updateVolume(call: Call, volumeId: string): Reply {
    check(updateVolumeSchema, call.body);
    const volume = this.#volume(call.caller, volumeId);
    const given = member(call.body, 'volume');
    volume.name = typeof given.name === 'string' ? given.name : volume.name;
    volume.description = typeof given.description === 'string' ? given.description : volume.description;
    volume.metadata = isObject(given.metadata) ? stringsOf(given.metadata) : volume.metadata;
    volume.updated_at = micros();
    return { status: 200, body: { volume: this.#shown(call, volume, false) } };
  }

  #writeMetadata(call: Call, volumeId: string, how: 'merge' | 'replace'): Reply {
    check(metadataSchema, call.body);
    const volume = this.#volume(call.caller, volumeId);
    const given = stringsOf(member(call.body, 'metadata'));
    volume.metadata = how === 'merge' ? { ...volume.metadata, ...given } : given;
    return { status: 200, body: { metadata: volume.metadata } };
  }

  #deleteVolume(call: Call, volumeId: string): Reply {
    const { state } = this.#world;
    const volume = this.#volume(call.caller, volumeId);
    const deletable = ['available', 'error', 'error_restoring', 'error_extending', 'error_managing'];
    const snapshots = [...state.snapshots.values()].some((snapshot) => snapshot.volume_id === volumeId);
    if (!deletable.includes(volume.status) || volume.attachments.length > 0 || snapshots) {
      throw fault('badRequest', 400, notDeletable);
    }
    this.removeVolume(volume);
    return { status: 202, headers: { 'content-type': 'text/html; charset=UTF-8' }, body: '' };
  }

  removeVolume(volume: Volume): void {
    move(volume, [volume.status], 'deleting');
    const stuck = this.#world.mishap('volumeDeletion') === true;
    this.#world.later(() => {
      if (stuck) {
        move(volume, ['deleting'], 'error_deleting');
      } else {
        this.#world.state.volumes.delete(volume.id);
      }
    });
  }

  #act(call: Call, volumeId: string): Reply {
    const [action = ''] = isObject(call.body) ? Object.keys(call.body) : [];
    const schema = actionSchemas[action];
    if (!schema) {
      throw fault(
        'badRequest',
        400,
        `There is no such action: ${action}. Verify the request body and Content-Type header and try again.`,
      );
    }
    check(schema, call.body);
    const volume = this.#volume(call.caller, volumeId);
    const given = member(call.body, action);
    if (action === 'os-extend') {
      this.#extend(volume, Number(given.new_size));
    } else {
      this.#retype(volume, String(given.new_type), given.migration_policy === 'on-demand');
    }
    return { status: 202, headers: { 'content-type': 'text/html; charset=UTF-8' }, body: '' };
  }

  #extend(volume: Volume, newSize: number): void {
    if (volume.status !== 'available') {
      throw fault(
        'badRequest',
        400,
        `Invalid volume: Volume ${volume.id} status must be '{'status': 'available'}' to extend, currently ${volume.status}.`,
      );
    }
    if (newSize <= volume.size) {
      throw fault(
        'badRequest',
        400,
        `Invalid input received: New size for extend must be greater than current size. (current: ${volume.size}, extended: ${newSize}).`,
      );
    }
    this.#checkGigabytes(volume.project_id, newSize - volume.size);
    move(volume, ['available'], 'extending');
    const broken = this.#world.mishap('extend') === true;
    this.#world.later(() => {
      if (move(volume, ['extending'], broken ? 'error_extending' : 'available') && !broken) {
        volume.size = newSize;
      }
    });
  }

  /** Every type has a host of its own: without leave to migrate, or with snapshots, nothing comes of it. */
  #retype(volume: Volume, wanted: string, mayMigrate: boolean): void {
    const type = this.#typeName(wanted);
    if (!['available', 'in-use'].includes(volume.status) || type === volume.volume_type) {
      throw fault(
        'badRequest',
        400,
        'Invalid volume: Retype needs volume to be in available or in-use state, not be part of an active migration or a consistency group, requested type has to be different that the one from the volume, and for in-use volumes front-end qos specs cannot change.',
      );
    }
    const before = volume.status;
    move(volume, [before], 'retyping');
    const refused = this.#world.mishap('retype') === true;
    this.#world.later(() => {
      const snapshots = [...this.#world.state.snapshots.values()].some(
        (snapshot) => snapshot.volume_id === volume.id,
      );
      if (move(volume, ['retyping'], before) && mayMigrate && !refused && !snapshots) {
        volume.volume_type = type;
      }
    });
  }

  #listSnapshots(call: Call): Reply {
    const rows = [...this.#world.state.snapshots.values()]
      .reverse()
      .filter((snapshot) => snapshot.project_id === call.caller.projectId);
    const found = filtered(rows, call.request.query, ['name', 'status', 'volume_id']);
    const { page, links } = paged(found, call, 'snapshots');
    return {
      status: 200,
      body: {
        snapshots: page.map((snapshot) => shownSnapshot(snapshot, false)),
        ...(links && { snapshots_links: links }),
      },
    };
  }

  #createSnapshot(call: Call): Reply {
    check(createSnapshotSchema, call.body);
    const given = member(call.body, 'snapshot');
    const volume = this.#volume(call.caller, String(given.volume_id));
    const forced =
      call.version >= 66 || given.force === true || given.force === 'true' || given.force === 'True';
    if (volume.status !== 'available' && !(forced && volume.status === 'in-use')) {
      throw fault(
        'badRequest',
        400,
        forced
          ? `Invalid volume: Volume ${volume.id} status must be available or in-use, but current status is: ${volume.status}.`
          : `Invalid volume: Volume ${volume.id} status must be available, but current status is: ${volume.status}.`,
      );
    }
    const { snapshots } = this.#world.quotas;
    this.#checkGigabytes(call.caller.projectId, volume.size);
    if (snapshots >= 0 && this.#consumed(call.caller.projectId).snapshots + 1 > snapshots) {
      throw overLimit(`SnapshotLimitExceeded: Maximum number of snapshots allowed (${snapshots}) exceeded`);
    }
    const snapshot: Snapshot = {
      id: uuid(),
      project_id: call.caller.projectId,
      volume_id: volume.id,
      name: stringOrNull(given.name),
      description: stringOrNull(given.description),
      status: 'creating',
      size: volume.size,
      metadata: isObject(given.metadata) ? stringsOf(given.metadata) : {},
      created_at: micros(),
      updated_at: null,
    };
    this.#world.state.snapshots.set(snapshot.id, snapshot);
    const broken = this.#world.mishap('snapshot') === true;
    this.#world.later(() => move(snapshot, ['creating'], broken ? 'error' : 'available'));
    return { status: 202, body: { snapshot: shownSnapshot({ ...snapshot, status: 'creating' }, false) } };
  }

  #deleteSnapshot(call: Call, snapshotId: string): Reply {
    const snapshot = this.#snapshot(call.caller, snapshotId);
    if (!['available', 'error'].includes(snapshot.status)) {
      throw fault(
        'badRequest',
        400,
        'Invalid snapshot: Snapshot status must be available or error and must not be part of a group.',
      );
    }
    move(snapshot, [snapshot.status], 'deleting');
    const stuck = this.#world.mishap('snapshotDeletion') === true;
    this.#world.later(() => {
      if (stuck) {
        move(snapshot, ['deleting'], 'error_deleting');
      } else {
        this.#world.state.snapshots.delete(snapshotId);
      }
    });
    return { status: 202, headers: { 'content-type': 'text/html; charset=UTF-8' }, body: '' };
  }

  #types(): Reply {
    return {
      status: 200,
      body: {
        volume_types: [...this.#world.state.volumeTypes.values()].map(shownType),
      },
    };
  }

  #type(typeId: string): Reply {
    const type = this.#world.state.volumeTypes.get(typeId);
    if (!type) {
      throw fault('itemNotFound', 404, `Volume type ${typeId} could not be found.`);
    }
    return { status: 200, body: { volume_type: shownType(type) } };
  }

  #shown(call: Call, volume: Volume, stored: boolean): Record<string, unknown> {
    const tenant = stored && call.request.method === 'GET';
    return {
      id: volume.id,
      status: volume.status,
      size: volume.size,
      availability_zone: volume.availability_zone,
      created_at: volume.created_at,
      updated_at: volume.updated_at,
      name: volume.name,
      description: volume.description,
      volume_type: volume.volume_type,
      snapshot_id: volume.snapshot_id,
      source_volid: null,
      metadata: volume.metadata,
      links: linksOf(call, volume.id),
      user_id: volume.user_id,
      bootable: String(volume.bootable),
      encrypted: false,
      replication_status: null,
      consistencygroup_id: null,
      multiattach: false,
      attachments: volume.attachments.map((attachment) => ({
        id: volume.id,
        attachment_id: attachment.attachment_id,
        volume_id: volume.id,
        server_id: attachment.server_id,
        host_name: null,
        device: attachment.device,
        attached_at: attachment.attached_at,
      })),
      ...(call.caller.admin && { migration_status: volume.migration_status }),
      ...(tenant && { 'os-vol-tenant-attr:tenant_id': volume.project_id }),
    };
  }
}

function shownType(type: object): Record<string, unknown> {
  return { ...type, is_public: true, extra_specs: {}, 'os-volume-type-access:is_public': true };
}

/** A change of state that something else has overtaken does not happen. */
export function move(row: Volume | Snapshot, from: string[], to: string): boolean {
  if (!from.includes(row.status)) {
    return false;
  }
  row.status = to;
  row.updated_at = micros();
  return true;
}

function shownSnapshot(snapshot: Snapshot, detail: boolean): Record<string, unknown> {
  const { project_id, ...shown } = snapshot;
  return {
    ...shown,
    ...(detail && {
      'os-extended-snapshot-attributes:project_id': project_id,
      'os-extended-snapshot-attributes:progress': snapshot.status === 'creating' ? '0%' : '100%',
    }),
  };
}

function linksOf({ request, caller }: Call, volumeId: string): { rel: string; href: string }[] {
  return [
    { rel: 'self', href: `${request.baseUrl}/v3/${caller.projectId}/volumes/${volumeId}` },
    { rel: 'bookmark', href: `${request.baseUrl}/${caller.projectId}/volumes/${volumeId}` },
  ];
}

function microversion(request: ApiRequest): number {
  const header = request.headers['openstack-api-version'];
  const match = /volume\s+(\S+)/.exec(typeof header === 'string' ? header : '');
  if (!match) {
    return 0;
  }
  if (match[1] === 'latest') {
    return highestCinderVersion;
  }
  const version = /^3\.(\d+)$/.exec(match[1] ?? '');
  if (!version) {
    throw fault(
      'badRequest',
      400,
      `API Version String ${match[1]} is of invalid format. Must be of format MajorNum.MinorNum.`,
    );
  }
  return Number(version[1]);
}

function filtered<Row extends Volume | Snapshot>(
  rows: Row[],
  query: URLSearchParams,
  filters: (keyof Row & string)[],
): Row[] {
  return rows.filter((row) =>
    filters.every((key) => {
      const wanted = query.get(key);
      return wanted === null || String(row[key]) === wanted;
    }),
  );
}

function paged<Row extends { id: string }>(
  rows: Row[],
  { request, caller }: Call,
  kind: string,
): { page: Row[]; links?: { rel: string; href: string }[] } {
  const limit = request.query.get('limit');
  if (limit === null) {
    return { page: rows };
  }
  if (!/^\d+$/.test(limit)) {
    throw fault('badRequest', 400, 'limit param must be an integer');
  }
  const marker = request.query.get('marker');
  const start = marker === null ? 0 : rows.findIndex((row) => row.id === marker) + 1;
  const page = rows.slice(start, start + Number(limit));
  const last = page.at(-1);
  if (!last || start + page.length >= rows.length) {
    return { page };
  }
  const query = new URLSearchParams(request.query);
  query.set('marker', last.id);
  return {
    page,
    links: [{ rel: 'next', href: `${request.baseUrl}/v3/${caller.projectId}/${kind}?${query.toString()}` }],
  };
}

function check(schema: Schema, body: unknown): void {
  const found = violation(schema, body);
  if (found) {
    throw fault('badRequest', 400, inputMessage(found));
  }
}

async function bodyOf(request: ApiRequest): Promise<unknown> {
  const content = await request.text();
  if (content === '') {
    return {};
  }
  if (!request.headers['content-type']?.startsWith('application/json')) {
    throw fault('badMediaType', 415, 'Unsupported Content-Type');
  }
  try {
    return JSON.parse(content);
  } catch {
    throw fault('badRequest', 400, 'Malformed request body');
  }
}

function member(body: unknown, key: string): Record<string, unknown> {
  const value = isObject(body) ? body[key] : undefined;
  return isObject(value) ? value : {};
}

function stringsOf(value: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]));
}

function stringOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function fault(kind: string, code: number, message: string): ApiError {
  return new ApiError({ status: code, body: { [kind]: { code, message } } }, message);
}

/** Cinder's way to say that a quota is used up; the zero tells it from a rate limit. */
function overLimit(message: string): ApiError {
  return new ApiError(
    {
      status: 413,
      headers: { 'retry-after': '0' },
      body: { overLimit: { code: 413, message, retryAfter: '0' } },
    },
    message,
  );
}
