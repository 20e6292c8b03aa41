import { describe, expect, it } from 'vitest';
import { configurationSchema, invokerSchema } from '#lib/config/schema.ts';
import { isRecord } from '#lib/json.ts';
import { JOB_FOLDER, merged, nested, OPENSTACK_DEFAULTS, renderedProperties } from './manifests/job.ts';
import { readJobSpec, renderJob } from './render.ts';

type Properties = Record<string, unknown>;

const spec = await readJobSpec(JOB_FOLDER);
const names = Object.keys(spec.properties);

describe("the job's spec", () => {
  it.each(['invoker', 'stemcells'] as const)('has all properties of %s that the CPI reads', (section) => {
    expect(namesIn(section)).toEqual(leaves(invokerSchema.properties[section], section).sort());
  });

  it('has all properties of retries that the CPI reads', () => {
    const read = leaves(configurationSchema.properties.retry_config, 'retry_config');

    expect(namesIn('retry_config')).toEqual(read.sort());
  });

  it('has all properties of OpenStack that the CPI reads, but not what functions allow others', () => {
    const read = Object.keys(configurationSchema.properties.openstack.properties).filter(
      (name) => name !== 'allowed_auth_urls',
    );
    const refused = 'enable_auto_anti_affinity';

    expect(namesIn('openstack')).toEqual([...read, refused].map((name) => `openstack.${name}`).sort());
  });

  it('has the defaults of the other OpenStack CPIs, and where functions run', () => {
    const defaults = Object.entries(spec.properties)
      .filter(([, definition]) => 'default' in definition)
      .map(([name, definition]) => [name, definition.default]);

    expect(Object.fromEntries(defaults)).toEqual({
      ...Object.fromEntries(
        Object.entries(OPENSTACK_DEFAULTS).map(([name, value]) => [`openstack.${name}`, value]),
      ),
      'registry.port': 25777,
      'nats.port': 4222,
      'blobstore.s3_port': 443,
      'blobstore.use_ssl': true,
      'blobstore.ssl_verify_peer': true,
      'invoker.target': 'local',
    });
  });

  it('has the templates and the package that BOSH looks for', () => {
    expect(spec).toMatchObject({
      name: 'openstack_cpi',
      packages: ['openstack_cpi'],
      templates: {
        'cpi.erb': 'bin/cpi',
        'cpi.json.erb': 'config/cpi.json',
        'cacert.pem.erb': 'config/cacert.pem',
      },
    });
  });

  it('describes each property in sentences', () => {
    const others = names.filter(
      (name) => !/^[A-Z].*\.$/s.test(spec.properties[name]?.description.trim() ?? ''),
    );

    expect(others).toEqual([]);
  });
});

describe('the templates', () => {
  it.each(['local', 'lambda'])(
    'hand all properties of the CPI on as they are, for target %s',
    async (target) => {
      const properties = manifest({
        without: ['openstack.enable_auto_anti_affinity'],
        target,
        provider: 's3',
      });

      const rendered = await renderedProperties(properties);

      for (const section of ['openstack', 'retry_config', 'invoker', 'stemcells']) {
        expect(rendered[section]).toEqual(properties[section]);
      }
    },
  );

  it('use each other property in one manifest or another, but for the one that is refused', async () => {
    const refused = 'openstack.enable_auto_anti_affinity';
    const nats = [refused, 'agent.mbus', 'registry.endpoint'];
    const manifests = [
      manifest({ without: [refused], provider: 's3' }),
      manifest({ without: [...nats, 'agent.nats', 'agent.blobstore'], provider: 's3' }),
      manifest({ without: nats, provider: 'local' }),
      manifest({ without: [refused], provider: 'dav' }),
      manifest({ without: [refused, 'agent.blobstore'], provider: 'dav' }),
    ];

    const files = await Promise.all(
      manifests.map((properties) => renderJob({ jobFolder: JOB_FOLDER, properties })),
    );

    const output = files.flatMap((rendered) => Object.values(rendered)).join('\n');
    const unused = names.filter((name) => !output.includes(markedValue(name)));
    // The latter two decide what is rendered, and are seen there.
    expect(unused).toEqual([refused, 'blobstore.provider', 'invoker.target']);
  });
});

/** With a value for each property of the job. */
function manifest(options: { without: string[]; provider: string; target?: string }): Properties {
  const given = names.filter(
    (name) => !options.without.some((path) => name === path || name.startsWith(`${path}.`)),
  );
  return [
    ...given.map((name) => nested(name, markedValue(name))),
    nested('blobstore.provider', options.provider),
    nested('invoker.target', options.target ?? 'local'),
  ].reduce(merged);
}

/** In characters that neither a shell nor a URL has to quote, and which no other value contains. */
function markedValue(name: string): string {
  return `value-of-${name}-`;
}

function namesIn(section: string): string[] {
  return names.filter((name) => name.startsWith(`${section}.`)).sort();
}

/** Paths of all properties that are no objects with properties of their own. */
function leaves(schema: unknown, path: string): string[] {
  const inner = isRecord(schema) ? schema.properties : undefined;
  return isRecord(inner)
    ? Object.entries(inner).flatMap(([name, property]) => leaves(property, `${path}.${name}`))
    : [path];
}
