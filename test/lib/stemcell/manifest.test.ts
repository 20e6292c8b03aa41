import { describe, expect, it } from 'vitest';
import { CloudError } from '#lib/cpi/errors.ts';
import { MAX_MANIFEST_BYTES, readManifest } from '#lib/stemcell/manifest.ts';

const SHA1 = '3b7cbfa1e4c4d8f2a6b0c9d7e5f31a2b4c6d8e0f';
const SHA256 = `${SHA1}a1b2c3d4e5f60718293a4b5c`;

const MANIFEST = `---
# built on a Tuesday
name: bosh-openstack-kvm-ubuntu-jammy-go_agent
version: "1.390"
bosh_protocol: 1
api_version: 3
sha1: ${SHA1}
operating_system: ubuntu-jammy
stemcell_formats:
- openstack-qcow2
cloud_properties:
  name: bosh-openstack-kvm-ubuntu-jammy-go_agent
  version: "1.390"
  infrastructure: openstack
  hypervisor: kvm
  disk: 5120
  disk_format: qcow2
  container_format: bare
  os_type: linux
  auto_disk_config: true
  root_device_name: null
`;

function read(text: string) {
  return readManifest(Buffer.from(text));
}

/** A manifest with these lines at its end, or instead of its own. */
function manifest(fields: Record<string, string>) {
  const all = { name: 'a', version: '"1"', cloud_properties: '{}', ...fields };
  return Object.entries(all)
    .map(([field, value]) => `${field}: ${value}\n`)
    .join('');
}

function refusal(content: string | Buffer): string {
  try {
    readManifest(Buffer.from(content));
  } catch (error) {
    expect(error).toBeInstanceOf(CloudError);
    return error instanceof Error ? error.message : '';
  }
  return 'not refused';
}

describe('the manifest of a stemcell', () => {
  it('is read', () => {
    expect(read(MANIFEST)).toEqual({
      text: MANIFEST,
      name: 'bosh-openstack-kvm-ubuntu-jammy-go_agent',
      version: '1.390',
      operatingSystem: 'ubuntu-jammy',
      formats: ['openstack-qcow2'],
      digest: { algorithm: 'sha1', hex: SHA1 },
      isLight: false,
      properties: {
        name: 'bosh-openstack-kvm-ubuntu-jammy-go_agent',
        version: '1.390',
        infrastructure: 'openstack',
        hypervisor: 'kvm',
        disk: '5120',
        disk_format: 'qcow2',
        container_format: 'bare',
        os_type: 'linux',
        auto_disk_config: true,
        root_device_name: null,
      },
      tags: {},
    });
  });

  it('may be JSON', () => {
    const text = JSON.stringify({
      name: 'a',
      version: '1.390',
      stemcell_formats: ['openstack-raw'],
      cloud_properties: { disk_format: 'raw' },
    });

    expect(read(text)).toMatchObject({
      name: 'a',
      version: '1.390',
      formats: ['openstack-raw'],
      properties: { name: 'a', version: '1.390', disk_format: 'raw' },
    });
  });

  it('may begin with a byte order mark, and end its lines as Windows does', () => {
    const text = `\ufeff${MANIFEST.replaceAll('\n', '\r\n')}`;

    expect(read(text)).toMatchObject({ version: '1.390', properties: { disk_format: 'qcow2' } });
  });

  it.each([
    '1.390',
    '"1.390"',
    "'1.390'",
    '!!float 1.390',
    '1.10',
    '621.0',
    '0x10',
    '1e3',
    '007',
    '2024-01-01',
  ])('has the version as it is written: %s', (version) => {
    const text = manifest({ version, cloud_properties: `{ version: ${version} }` });

    const written = version.replace(/^!!float /, '').replaceAll(/["']/g, '');
    expect(read(text)).toMatchObject({ version: written, properties: { version: written } });
  });

  it('gives its name and version to cloud properties that have none', () => {
    const text = manifest({ name: 'n', version: '5', cloud_properties: '{ name: null, disk_format: raw }' });

    expect(read(text).properties).toEqual({ name: 'n', version: '5', disk_format: 'raw' });
  });

  it('leaves cloud properties their own name and version', () => {
    const text = manifest({ name: 'n', version: '5', cloud_properties: '{ name: other, version: 6 }' });

    expect(read(text).properties).toEqual({ name: 'other', version: '6' });
  });

  it('may lack everything but name and version', () => {
    expect(read('{name: a, version: 1, cloud_properties: , sha1: ~}')).toMatchObject({
      operatingSystem: undefined,
      formats: [],
      digest: undefined,
      isLight: false,
      properties: { name: 'a', version: '1' },
      tags: {},
    });
  });

  it('has its own tags, and those of its cloud properties that it does not set itself', () => {
    const text = manifest({ tags: '{a: 1, b: 2}', cloud_properties: '{tags: {b: 3, c: 4}}' });

    expect(read(text).tags).toEqual({ a: '1', b: '2', c: '4' });
  });

  it('takes merged keys and aliases for what they refer to', () => {
    const text = 'x: &x {version: 1.50}\nname: &n a\n<<: *x\ncloud_properties: {<<: *x, name: *n}\n';

    expect(read(text)).toMatchObject({ version: '1.50', properties: { name: 'a', version: '1.50' } });
  });

  it.each([
    ['{}', '[openstack-light]', true],
    ['{}', '[openstack-qcow2, openstack-light]', true],
    ['{image_id: b1d4}', '[openstack-qcow2]', true],
    ['{image_id: ""}', '[openstack-raw]', false],
    ['{image_id: null}', '[]', false],
  ])(
    'with cloud properties %s and formats %s is light: %s',
    (cloud_properties, stemcell_formats, isLight) => {
      expect(read(manifest({ cloud_properties, stemcell_formats })).isLight).toBe(isLight);
    },
  );

  it.each([
    [SHA1, 'sha1', SHA1],
    [SHA1.toUpperCase(), 'sha1', SHA1],
    [`sha1:${SHA1}`, 'sha1', SHA1],
    ['1234567890123456789012345678901234567890', 'sha1', '1234567890123456789012345678901234567890'],
    ['123456789012345678901234567890123456e890', 'sha1', '123456789012345678901234567890123456e890'],
    [`sha256:${SHA256}`, 'sha256', SHA256],
    [`sha512:${SHA256}${SHA256}`, 'sha512', SHA256 + SHA256],
    [`"${SHA1};sha256:${SHA256}"`, 'sha256', SHA256],
  ])('has the hash %s', (sha1, algorithm, hex) => {
    expect(read(manifest({ sha1 })).digest).toEqual({ algorithm, hex });
  });

  it.each<[Record<string, string>, string]>([
    [{ name: '' }, 'name must be a string that is not empty'],
    [{ name: '[a]' }, 'name must be a string'],
    [{ name: 'true' }, 'name must be a string'],
    [{ version: '~' }, 'version must be a string that is not empty'],
    [{ version: '" "' }, 'version must be a string that is not empty'],
    [{ version: '{a: 1}' }, 'version must be a string'],
    [{ operating_system: '[a]' }, 'operating_system must be a string'],
    [{ stemcell_formats: 'openstack-raw' }, 'stemcell_formats must be an array of strings'],
    [{ stemcell_formats: '[{}]' }, 'stemcell_formats must be an array of strings'],
    [{ cloud_properties: '[]' }, 'cloud_properties must be an object'],
    [{ cloud_properties: '{disk_format: [raw]}' }, 'cloud_properties.disk_format must be a string or null'],
    [{ cloud_properties: '{name: {}}' }, 'cloud_properties.name must be a string or null'],
    [{ cloud_properties: '{tags: x}' }, 'cloud_properties.tags must be an object or null'],
    [{ tags: '[a]' }, 'tags must be an object'],
    [{ tags: '{a: 1, b: 2, "a": 3}' }, 'a must be there only once'],
    [{ tags: '{<<: {a: 1}, <<: {b: 1}}' }, '<< must be there only once'],
    ...['abc', 'md5:d41d8cd98f00b204e9800998ecf8427e', `sha256:${SHA1}`, `constructor:${SHA1}`, '""'].map(
      (sha1): [Record<string, string>, string] => [
        { sha1 },
        'sha1 must be a SHA-1 in hexadecimal, or sha256: or sha512: and that hash',
      ],
    ),
  ])('is refused with %j', (fields, message) => {
    expect(refusal(manifest(fields))).toBe(`stemcell.MF: ${message}`);
  });

  it.each([
    ['is empty', ''],
    ['is a text', 'hello'],
    ['is a list', '- name: a'],
  ])('is refused when it %s', (_, text) => {
    expect(refusal(text)).toBe('stemcell.MF: an object with name, version and cloud_properties was expected');
  });

  it.each([
    ['two documents', 'name: a\n---\nname: b\n', 'at character 9: MULTIPLE_DOCS'],
    ['no YAML', 'name: [hunter2', 'at character 15: BAD_INDENT'],
    ['what is no text', Buffer.from([0x6e, 0xff, 0xfe, 0x00]), 'it is not UTF-8'],
    ['an alias of nothing', 'name: *nothing', 'its aliases refer to themselves, to nothing, or to too much'],
    ['an alias of itself', 'a: &a [*a]', 'its aliases refer to themselves, to nothing, or to too much'],
    [
      'many aliases of much',
      `a: &a [${'b,'.repeat(40_000)}]\nc: [${'*a,'.repeat(99)}]`,
      'its aliases refer to themselves, to nothing, or to too much',
    ],
    ['aliases of aliases', bomb(), 'its aliases refer to themselves, to nothing, or to too much'],
  ])('is refused when it holds %s, without showing it', (_, content, reason) => {
    expect(refusal(content)).toBe(`stemcell.MF: it must be one YAML document (${reason})`);
  });

  it('may be JSON in one line, with as many keys as it likes', () => {
    const keys = Array.from({ length: 500 }, (_, index) => [`os_${index}`, 'x']);
    const text = JSON.stringify({ name: 'a', version: '1', cloud_properties: Object.fromEntries(keys) });

    expect(readManifest(Buffer.from(text)).properties).toMatchObject({ name: 'a', os_499: 'x' });
  });

  it.each([
    ['lists', '['.repeat(4000)],
    ['objects', '{a: '.repeat(4000)],
    ['lists in a line', '- '.repeat(4000)],
    ['keys', '? '.repeat(4000)],
    ['lines', Array.from({ length: 900 }, (_, level) => `${' '.repeat(level)}a:`).join('\n')],
  ])('is refused when %s are nested too deeply', (_, text) => {
    expect(refusal(text)).toBe('stemcell.MF: it is nested too deeply');
  });

  it('is refused when it is larger than 1 MiB', () => {
    const text = manifest({}).padEnd(MAX_MANIFEST_BYTES, '#');

    expect(refusal(text)).toBe('not refused');
    expect(refusal(`${text}#`)).toBe('stemcell.MF: it must have at most 1048576 bytes');
  });

  it('is read in seconds, however many keys it has', () => {
    const keys = Array.from({ length: 50_000 }, (_, number) => `key${number}: 1\n`).join('');

    expect(read(`${manifest({})}${keys}`).name).toBe('a');
  });

  it('changes no prototype', () => {
    const { properties, tags } = read(
      manifest({
        cloud_properties: '{__proto__: {polluted: a}, tags: {__proto__: {polluted: a}}}',
        tags: '{__proto__: {polluted: a}, constructor: b}',
      }),
    );

    expect(properties).toEqual({ name: 'a', version: '1', tags: {} });
    expect(Object.getPrototypeOf(properties)).toBe(Object.prototype);
    expect(tags).toEqual({ constructor: 'b' });
    expect('polluted' in tags).toBe(false);
  });
});

/** Nine levels, each nine times the one below. */
function bomb(): string {
  const lists = Array.from(
    { length: 9 },
    (_, level) => `a${level + 1}: &a${level + 1} [${`*a${level},`.repeat(9)}]\n`,
  );
  return `name: a\na0: &a0 [x]\n${lists.join('')}`;
}
