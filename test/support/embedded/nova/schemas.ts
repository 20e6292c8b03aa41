import type { Schema } from '../schema.ts';

/** Request schemas of the Compute API, as they stand at the microversions that a CPI may send. */

const truth = [
  true,
  'True',
  'TRUE',
  'true',
  '1',
  'ON',
  'On',
  'on',
  'YES',
  'Yes',
  'yes',
  false,
  'False',
  'FALSE',
  'false',
  '0',
  'OFF',
  'Off',
  'off',
  'NO',
  'No',
  'no',
];

const boolean: Schema = { type: ['boolean', 'string'], enum: truth };
const name: Schema = { type: 'string', minLength: 1, maxLength: 255 };
const positive: Schema = { type: ['integer', 'string'], pattern: '^[0-9]*$', minimum: 1 };

const metadata: Schema = {
  type: 'object',
  patternProperties: { '^[a-zA-Z0-9-_:. ]{1,255}$': { type: 'string', maxLength: 255 } },
  additionalProperties: false,
};

const uuid: Schema = { type: 'string', format: 'uuid' };

function blockDevice(version: number): Schema {
  return {
    type: 'object',
    additionalProperties: false,
    properties: {
      virtual_name: { type: 'string', maxLength: 255 },
      volume_id: uuid,
      snapshot_id: uuid,
      volume_size: { type: ['integer', 'string'], pattern: '^[0-9]+$', minimum: 1, maximum: 2147483647 },
      device_name: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9._\\-/]*$' },
      delete_on_termination: boolean,
      no_device: {},
      source_type: { type: 'string', enum: ['volume', 'image', 'snapshot', 'blank'] },
      uuid: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9._-]*$' },
      image_id: uuid,
      destination_type: { type: 'string', enum: ['local', 'volume'] },
      guest_format: { type: 'string', maxLength: 255 },
      device_type: { type: 'string', maxLength: 255 },
      disk_bus: { type: 'string', maxLength: 255 },
      boot_index: { type: ['integer', 'string', 'null'], pattern: '^-?[0-9]+$' },
      ...(version >= 42 && { tag: { type: 'string', minLength: 1, maxLength: 60 } }),
      ...(version >= 67 && { volume_type: { type: ['string', 'null'], minLength: 0, maxLength: 255 } }),
    },
  };
}

export function createServerSchema(version: number): Schema {
  const network: Schema = {
    type: 'object',
    additionalProperties: false,
    properties: {
      uuid: { type: 'string' },
      port: { anyOf: [uuid, { type: 'null' }] },
      fixed_ip: { type: 'string' },
      ...(version >= 42 && { tag: { type: 'string', minLength: 1, maxLength: 60 } }),
    },
  };
  const networks: Schema = { type: 'array', items: network };
  return {
    type: 'object',
    required: ['server'],
    additionalProperties: false,
    properties: {
      server: {
        type: 'object',
        required: ['name', 'flavorRef', ...(version >= 37 ? ['networks'] : [])],
        additionalProperties: false,
        properties: {
          name,
          imageRef: { anyOf: [uuid, { type: 'string', maxLength: 0 }] },
          flavorRef: { type: ['string', 'integer'], minLength: 1 },
          adminPass: { type: 'string' },
          metadata,
          networks:
            version >= 37 ? { anyOf: [networks, { type: 'string', enum: ['none', 'auto'] }] } : networks,
          'OS-DCF:diskConfig': { type: 'string', enum: ['AUTO', 'MANUAL'] },
          accessIPv4: { type: 'string' },
          accessIPv6: { type: 'string' },
          ...(version < 57 && { personality: { type: 'array' } }),
          availability_zone: name,
          block_device_mapping: { type: 'array', items: { type: 'object' } },
          block_device_mapping_v2: { type: 'array', items: blockDevice(version) },
          config_drive: boolean,
          key_name: name,
          min_count: positive,
          max_count: positive,
          return_reservation_id: boolean,
          security_groups: {
            type: 'array',
            items: { type: 'object', properties: { name: { type: 'string', minLength: 1, maxLength: 255 } } },
          },
          user_data: { type: 'string', format: 'base64', maxLength: 65_535 },
          ...(version >= 19 && { description: { type: ['string', 'null'], maxLength: 255 } }),
          ...(version >= 52 && { tags: { type: 'array', maxItems: 50, items: { type: 'string' } } }),
        },
      },
      'os:scheduler_hints': {
        type: 'object',
        properties: {
          group: uuid,
          different_host: { anyOf: [uuid, { type: 'array', items: uuid }] },
          same_host: { type: ['string', 'array'], items: uuid },
          query: { type: ['string', 'object'] },
        },
      },
    },
  };
}

export const updateServerSchema: Schema = {
  type: 'object',
  required: ['server'],
  additionalProperties: false,
  properties: {
    server: {
      type: 'object',
      additionalProperties: false,
      properties: {
        name,
        'OS-DCF:diskConfig': { type: 'string', enum: ['AUTO', 'MANUAL'] },
        accessIPv4: { type: 'string' },
        accessIPv6: { type: 'string' },
      },
    },
  },
};

export const metadataSchema: Schema = {
  type: 'object',
  required: ['metadata'],
  additionalProperties: false,
  properties: { metadata },
};

export const rebootSchema: Schema = {
  type: 'object',
  required: ['reboot'],
  additionalProperties: false,
  properties: {
    reboot: {
      type: 'object',
      required: ['type'],
      additionalProperties: false,
      properties: { type: { type: 'string', enum: ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft'] } },
    },
  },
};

export function attachVolumeSchema(version: number): Schema {
  return {
    type: 'object',
    required: ['volumeAttachment'],
    additionalProperties: false,
    properties: {
      volumeAttachment: {
        type: 'object',
        required: ['volumeId'],
        additionalProperties: false,
        properties: {
          volumeId: uuid,
          device: { type: ['string', 'null'], pattern: '(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$' },
          ...(version >= 49 && { tag: { type: 'string', minLength: 1, maxLength: 60 } }),
          ...(version >= 79 && { delete_on_termination: boolean }),
        },
      },
    },
  };
}

const amount: Schema = { type: ['integer', 'string'], pattern: '^[0-9]*$', minimum: 0, maximum: 2147483647 };

export const createFlavorSchema: Schema = {
  type: 'object',
  required: ['flavor'],
  additionalProperties: false,
  properties: {
    flavor: {
      type: 'object',
      required: ['name', 'ram', 'vcpus', 'disk'],
      additionalProperties: false,
      properties: {
        name,
        ram: { ...amount, minimum: 1 },
        vcpus: { ...amount, minimum: 1 },
        disk: amount,
        'OS-FLV-EXT-DATA:ephemeral': amount,
        swap: amount,
      },
    },
  },
};

export const createServerGroupSchema: Schema = {
  type: 'object',
  required: ['server_group'],
  additionalProperties: false,
  properties: {
    server_group: {
      type: 'object',
      required: ['name'],
      additionalProperties: false,
      properties: {
        name,
        policies: { type: 'array', items: { type: 'string', enum: ['anti-affinity', 'affinity'] } },
        policy: {
          type: 'string',
          enum: ['anti-affinity', 'affinity', 'soft-anti-affinity', 'soft-affinity'],
        },
        rules: { type: 'object' },
      },
    },
  },
};

export const createKeypairSchema: Schema = {
  type: 'object',
  required: ['keypair'],
  additionalProperties: false,
  properties: {
    keypair: {
      type: 'object',
      required: ['name'],
      additionalProperties: false,
      properties: { name, public_key: { type: 'string' } },
    },
  },
};
