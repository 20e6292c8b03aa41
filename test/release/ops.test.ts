import { readdir, readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfiguration } from '#lib/config/configuration.ts';
import { mergeContext } from '#lib/config/context.ts';
import { parseInvoker } from '#lib/config/invoker.ts';
import { isRecord } from '#lib/json.ts';
import { DEFAULT_NAME } from '../../scripts/release/make-release.ts';
import { OPENSTACK_DEFAULTS, renderedProperties } from './manifests/job.ts';
import { interpolated, isOperations, type Operation, operated, variablesOf } from './operations.ts';

type Properties = Record<string, unknown>;

const OPS = 'bosh-release/ops';
const MANIFESTS = 'test/release/manifests';
const CERTIFICATE = rootCertificates[0] ?? '';

const RELEASE = {
  openstack_cpi_release_version: '0.1.0+serverless.20261122204528',
  openstack_cpi_release_url: 'file:///releases/openstack-cpi.tgz',
  openstack_cpi_release_sha1: 'sha256:5555',
};

const CLOUD = {
  auth_url: 'https://keystone.example.org:5000/v3',
  openstack_username: 'bosh',
  openstack_password: 'a-password',
  openstack_domain: 'Default',
  openstack_project: 'cf',
  region: 'RegionOne',
  default_key_name: 'bosh',
  default_security_groups: ['bosh'],
};

const DIRECTOR = {
  az: 'nova',
  net_id: '0d0f3e6a-7a0c-4d5c-9a3a-7b0f8f0f4c11',
  internal_cidr: '10.0.0.0/24',
  internal_gw: '10.0.0.1',
  internal_ip: '10.0.0.6',
  director_name: 'bosh-1',
  blobstore_agent_password: 'a-blobstore-password',
  nats_password: 'a-nats-password',
  mbus_bootstrap_password: 'an-mbus-password',
};

const OPENSTACK = {
  auth_url: 'https://keystone.example.org:5000/v3',
  username: 'bosh',
  api_key: 'a-password',
  domain: 'Default',
  project: 'cf',
  region: 'RegionOne',
  default_key_name: 'bosh',
  default_security_groups: ['bosh'],
  human_readable_vm_names: true,
};

const { username, api_key, domain, project, ...WITHOUT_PASSWORD } = OPENSTACK;

const ON_OPENSTACK = 'openstack-director.yml';
const ELSEWHERE = 'other-director.yml';

/** Manifests with OpenStack by name; that with the Go CPI differs from that with the Ruby CPI by the name of its job. */
const sources: Record<string, string> = {
  [ON_OPENSTACK]: await readFile(`${MANIFESTS}/${ON_OPENSTACK}`, 'utf8'),
  [ELSEWHERE]: await readFile(`${MANIFESTS}/${ELSEWHERE}`, 'utf8'),
};
const goManifest = parse((sources[ON_OPENSTACK] ?? '').replaceAll('openstack_cpi', 'openstack_cpi_golang'));
const manifestOf = (name: string): unknown => parse(sources[name] ?? '');

const OUR_RELEASE = {
  name: DEFAULT_NAME,
  version: RELEASE.openstack_cpi_release_version,
  url: RELEASE.openstack_cpi_release_url,
  sha1: RELEASE.openstack_cpi_release_sha1,
};

/** Of a manifest with OpenStack's properties in both places. */
const PLACES: [place: string, propertiesOf: (manifest: Manifest) => Properties][] = [
  ['the Director', (manifest) => groupOf(manifest).properties],
  ['bosh create-env', (manifest) => manifest.cloud_provider.properties],
];

describe('use-serverless-cpi.yml', () => {
  it('changes the release in the place of another CPI, and nothing else', async () => {
    const before = await manifestWith(manifestOf(ON_OPENSTACK), [], CLOUD);

    const result = await manifestWith(manifestOf(ON_OPENSTACK), ['use-serverless-cpi.yml'], {
      ...CLOUD,
      ...RELEASE,
    });

    expect(result).toEqual({ ...before, releases: [before.releases[0], OUR_RELEASE] });
    expect(result.releases).toHaveLength(2);
  });

  it.each(PLACES)('leaves %s a configuration that the CPI accepts', async (_, propertiesOf) => {
    const manifest = await manifestWith(manifestOf(ON_OPENSTACK), ['use-serverless-cpi.yml'], {
      ...CLOUD,
      ...RELEASE,
    });

    const rendered = await renderedProperties(propertiesOf(manifest));

    expect(rendered.openstack).toEqual({ ...OPENSTACK_DEFAULTS, ...OPENSTACK });
    expect(parseConfiguration(rendered, {}).warnings).toEqual([]);
  });

  it.each<[cpi: string, before: unknown]>([
    ['Ruby', manifestOf(ON_OPENSTACK)],
    ['Go', goManifest],
  ])(
    "changes nothing of a manifest with the %s CPI but the release's version, URL and digest",
    async (_, before) => {
      const result = await manifestWith(before, ['use-serverless-cpi.yml'], { ...CLOUD, ...RELEASE });

      const expected = await manifestWith(before, [], CLOUD);
      const releases = expected.releases.map((release) =>
        release.name === OUR_RELEASE.name ? OUR_RELEASE : release,
      );
      expect(releases).not.toEqual(expected.releases);
      expect(result).toEqual({ ...expected, releases });
    },
  );

  it('needs the release of another OpenStack CPI before it', async () => {
    const result = manifestWith(manifestOf(ELSEWHERE), ['use-serverless-cpi.yml'], RELEASE);

    await expect(result).rejects.toThrow(
      "Expected to find exactly one matching array item for path '/releases/name=bosh-openstack-cpi' but found 0",
    );
  });
});

describe.each(PLACES)('for %s', (_, propertiesOf) => {
  it('application-credential.yml replaces the password, with the project and the domain', async () => {
    const { auth_url, region, default_key_name, default_security_groups } = CLOUD;
    const manifest = await manifestWith(manifestOf(ON_OPENSTACK), ['application-credential.yml'], {
      ...{ auth_url, region, default_key_name, default_security_groups },
      openstack_application_credential_id: 'an-id',
      openstack_application_credential_secret: 'a-secret',
    });

    const rendered = await renderedProperties(propertiesOf(manifest));

    expect(rendered.openstack).toEqual({
      ...OPENSTACK_DEFAULTS,
      ...WITHOUT_PASSWORD,
      application_credential_id: 'an-id',
      application_credential_secret: 'a-secret',
    });
    expect(parseConfiguration(rendered, {}).session.credentials).toMatchObject({ secret: 'a-secret' });
  });

  it('proxy.yml gives the proxies', async () => {
    const proxies = {
      http_proxy: 'http://proxy.example.org:3128',
      https_proxy: 'http://proxy.example.org:3129',
      no_proxy: '10.0.0.0/8,.example.org',
    };
    const manifest = await manifestWith(manifestOf(ON_OPENSTACK), ['proxy.yml'], { ...CLOUD, ...proxies });

    expect(propertiesOf(manifest)).toMatchObject({ env: proxies });
  });

  it('custom-ca.yml adds certificates', async () => {
    const manifest = await manifestWith(manifestOf(ON_OPENSTACK), ['custom-ca.yml'], {
      ...CLOUD,
      openstack_ca_cert: CERTIFICATE,
    });

    const rendered = await renderedProperties(propertiesOf(manifest));

    expect(rendered.openstack).toEqual({
      ...OPENSTACK_DEFAULTS,
      ...OPENSTACK,
      connection_options: { ca_cert: CERTIFICATE },
    });
    expect(parseConfiguration(rendered, {}).connection.ca).toContain('BEGIN CERTIFICATE');
  });
});

describe('target-lambda.yml', () => {
  const files = ['use-serverless-cpi.yml', 'target-lambda.yml'];
  const functions = { functions_region: 'eu-central-1', functions_prefix: 'bosh-openstack-cpi-' };
  const keys = { functions_access_key_id: 'an-id', functions_secret_access_key: 'a-secret' };

  it.each([
    ['a role of AWS', files, functions, undefined],
    [
      'keys',
      [...files, 'target-lambda-keys.yml'],
      { ...functions, ...keys },
      { kind: 'keys', accessKeyId: 'an-id', secretAccessKey: 'a-secret', sessionToken: undefined },
    ],
  ])('lets a Director with %s invoke functions, without credentials of the cloud', async (...row) => {
    const [, ops, values, credentials] = row;
    const manifest = await manifestWith(manifestOf(ON_OPENSTACK), ops, { ...CLOUD, ...RELEASE, ...values });

    const rendered = await renderedProperties(groupOf(manifest).properties);

    expect(parseInvoker(rendered, {})).toMatchObject({
      target: 'lambda',
      region: 'eu-central-1',
      prefix: 'bosh-openstack-cpi-',
      credentials,
    });
    expect(rendered).not.toHaveProperty('openstack');
    expect(JSON.stringify(groupOf(manifest))).not.toContain('a-password');
  });

  it('leaves bosh create-env with the cloud itself', async () => {
    const values = { ...CLOUD, ...RELEASE };
    const before = await manifestWith(manifestOf(ON_OPENSTACK), ['use-serverless-cpi.yml'], values);

    const result = await manifestWith(manifestOf(ON_OPENSTACK), files, { ...values, ...functions });

    expect(result.cloud_provider).toEqual(before.cloud_provider);
  });
});

describe('additional-cpi.yml', () => {
  it('adds the release and the job to a Director elsewhere, which goes on calling its own CPI', async () => {
    const before = await manifestWith(manifestOf(ELSEWHERE), [], {});

    const result = await manifestWith(manifestOf(ELSEWHERE), ['additional-cpi.yml'], RELEASE);

    const { openstack, ...others } = groupOf(result).properties;
    expect(result.releases).toEqual([...before.releases, OUR_RELEASE]);
    expect(groupOf(result).jobs).toEqual([
      ...groupOf(before).jobs,
      { name: 'openstack_cpi', release: DEFAULT_NAME },
    ]);
    expect(others).toEqual(groupOf(before).properties);
    expect(openstack).toBeDefined();
    expect(result.cloud_provider).toEqual(before.cloud_provider);
  });

  it('is refused by the CPI where no entry of the CPI config replaces its placeholders', async () => {
    const manifest = await manifestWith(manifestOf(ELSEWHERE), ['additional-cpi.yml'], RELEASE);

    const rendered = await renderedProperties(groupOf(manifest).properties);

    expect(() => parseConfiguration(rendered, {})).toThrow('openstack.auth_url must be a URL');
  });
});

describe('side-by-side.yml', () => {
  it('adds the other release and its job, and leaves the Director with the CPI that it has', async () => {
    const before = await manifestWith(manifestOf(ON_OPENSTACK), [], CLOUD);

    const result = await manifestWith(manifestOf(ON_OPENSTACK), ['side-by-side.yml'], {
      ...CLOUD,
      ...RELEASE,
    });

    const name = 'openstack-cpi-serverless';
    const jobs = [...groupOf(before).jobs, { name: 'openstack_cpi_serverless', release: name }];
    expect(result).toEqual({
      ...before,
      releases: [...before.releases, { ...OUR_RELEASE, name }],
      instance_groups: [{ ...groupOf(before), jobs }],
    });
  });
});

describe('the manifests', () => {
  it.each<[files: string[], director: unknown]>([
    [['use-serverless-cpi.yml'], manifestOf(ON_OPENSTACK)],
    [['use-serverless-cpi.yml'], goManifest],
    [['additional-cpi.yml'], manifestOf(ELSEWHERE)],
    [['side-by-side.yml'], manifestOf(ON_OPENSTACK)],
  ])(
    'have the releases of all jobs after %j, and the job that the Director calls',
    async (files, director) => {
      const isElsewhere = files.includes('additional-cpi.yml');

      const result = await manifestWith(director, files, { ...RELEASE, ...(isElsewhere ? {} : CLOUD) });

      expect(strayJobs(result)).toEqual([]);
      expect(groupOf(result).jobs.map(({ name }) => name)).toContain(
        groupOf(result).properties.director.cpi_job,
      );
    },
  );
});

describe('files in the order of the page', () => {
  it('fit together', async () => {
    const files = ['use-serverless-cpi', 'application-credential', 'custom-ca', 'proxy', 'target-lambda'];
    const { auth_url, region, default_key_name, default_security_groups } = CLOUD;

    const result = await manifestWith(
      goManifest,
      files.map((file) => `${file}.yml`),
      {
        ...{ auth_url, region, default_key_name, default_security_groups },
        ...RELEASE,
        openstack_application_credential_id: 'an-id',
        openstack_application_credential_secret: 'a-secret',
        openstack_ca_cert: CERTIFICATE,
        http_proxy: '',
        https_proxy: 'http://proxy.example.org:3128',
        no_proxy: '',
        functions_region: 'eu-central-1',
        functions_prefix: 'bosh-openstack-cpi-',
      },
    );

    expect(groupOf(result).properties).not.toHaveProperty('openstack');
    expect(result.cloud_provider.properties.openstack).toMatchObject({
      application_credential_secret: 'a-secret',
      connection_options: { ca_cert: CERTIFICATE },
    });
  });
});

describe('cpi-config.yml', () => {
  it.each<[ops: string, director: string]>([
    ['additional-cpi.yml', ELSEWHERE],
    ['use-serverless-cpi.yml', ON_OPENSTACK],
  ])('has complete properties of two clouds for a Director with %s', async (ops, director) => {
    const isElsewhere = director === ELSEWHERE;
    const values = { ...RELEASE, ...(isElsewhere ? {} : CLOUD) };
    const manifest = await manifestWith(manifestOf(director), [ops], values);
    const rendered = await renderedProperties(groupOf(manifest).properties);

    const entries = await entriesOf('cpi-config.yml', {
      frankfurt_application_credential_id: 'an-id',
      frankfurt_application_credential_secret: 'a-secret',
      frankfurt_ca_cert: CERTIFICATE,
      vienna_password: 'another-password',
    });

    const [frankfurt, vienna, ...others] = entries.map(({ properties }) =>
      parseConfiguration(mergeContext(rendered, properties), {}),
    );
    expect(others).toEqual([]);
    expect(frankfurt).toMatchObject({
      session: {
        authUrl: 'https://keystone.frankfurt.example.org:5000/v3',
        credentials: { id: 'an-id', secret: 'a-secret' },
        region: 'Frankfurt1',
      },
      connection: { ca: expect.stringContaining('BEGIN CERTIFICATE') },
      cloud: { defaultKeyName: 'bosh', humanReadableVmNames: true },
      warnings: [],
      ignored: [],
    });
    expect(vienna).toMatchObject({
      session: {
        authUrl: 'https://keystone.vienna.example.org:5000/v3',
        credentials: { username: 'bosh', password: 'another-password' },
        region: 'RegionOne',
      },
      connection: { ca: undefined },
      cloud: { defaultKeyName: 'vienna', humanReadableVmNames: true },
      warnings: [],
      ignored: [],
    });
  });
});

describe('side-by-side-cpi-config.yml', () => {
  it('has the Director call the CPI that it has for what there is, and the other one where it is asked to', async () => {
    const manifest = await manifestWith(manifestOf(ON_OPENSTACK), ['side-by-side.yml'], {
      ...CLOUD,
      ...RELEASE,
    });

    const [present, other, ...more] = await entriesOf('side-by-side-cpi-config.yml', {});

    const paths = groupOf(manifest).jobs.map(({ name }) => `/var/vcap/jobs/${name}/bin/cpi`);
    expect(more).toEqual([]);
    expect(present).toEqual({
      name: 'openstack',
      type: 'openstack',
      migrated_from: [{ name: '' }],
      properties: {},
    });
    expect(other).toMatchObject({ type: 'openstack', properties: {} });
    expect(paths).toContain(other?.exec_path);
    expect(other?.exec_path).not.toBe(
      `/var/vcap/jobs/${groupOf(manifest).properties.director.cpi_job}/bin/cpi`,
    );
  });
});

describe('the folder', () => {
  it('has operations and CPI configs only, which other tests apply', async () => {
    const files = await readdir(OPS);
    const test = await readFile('test/release/ops.test.ts', 'utf8');

    const contents = await Promise.all(
      files.map(async (file): Promise<unknown> => parse(await readFile(`${OPS}/${file}`, 'utf8'))),
    );

    const others = contents.filter((content) => !isOperations(content) && !isCpiConfig(content));
    expect(others).toEqual([]);
    expect(files.filter((file) => !test.includes(`'${file}'`))).toEqual([]);
  });
});

/** What of a manifest concerns a CPI. */
interface Manifest {
  releases: { name: string; version: string; url: string; sha1: string }[];
  instance_groups: {
    jobs: { name: string; release: string }[];
    properties: Properties & { director: { cpi_job: string } };
  }[];
  cloud_provider: { template: { name: string; release: string }; properties: Properties };
}

async function operationsOf(file: string): Promise<Operation[]> {
  const content: unknown = parse(await readFile(`${OPS}/${file}`, 'utf8'));
  if (!isOperations(content)) {
    throw new Error(`${file} must be a list of operations with type and path`);
  }
  return content;
}

/** With values for all that a manifest leaves open, and no other. */
async function manifestWith(manifest: unknown, files: string[], values: Properties): Promise<Manifest> {
  const operations = await Promise.all(files.map(operationsOf));
  const result = operated(manifest, operations.flat());
  const superfluous = Object.keys(values).filter((name) => !variablesOf(result).has(name));
  if (superfluous.length > 0) {
    throw new Error(`The manifest has no variables ${superfluous.join(', ')}`);
  }
  const complete = interpolated(result, { ...DIRECTOR, ...values });
  if (!isManifest(complete)) {
    throw new Error(
      'The manifest must have releases, an instance group with jobs and properties, and a cloud provider',
    );
  }
  return complete;
}

function isManifest(value: unknown): value is Manifest {
  if (!isRecord(value) || !Array.isArray(value.releases) || !Array.isArray(value.instance_groups)) {
    return false;
  }
  const [group] = value.instance_groups;
  const { cloud_provider: provider } = value;
  return (
    isRecord(group) &&
    Array.isArray(group.jobs) &&
    isRecord(group.properties) &&
    isRecord(group.properties.director) &&
    isRecord(provider) &&
    isRecord(provider.template) &&
    isRecord(provider.properties)
  );
}

function groupOf({ instance_groups: [group] }: Manifest): Manifest['instance_groups'][number] {
  if (group === undefined) {
    throw new Error('The manifest must have an instance group');
  }
  return group;
}

/** Jobs whose release the manifest does not have. */
function strayJobs(manifest: Manifest): string[] {
  const releases = manifest.releases.map(({ name }) => name);
  return [...groupOf(manifest).jobs, manifest.cloud_provider.template]
    .filter(({ release }) => !releases.includes(release))
    .map(({ name }) => name);
}

interface CpiConfigEntry {
  name: string;
  type: string;
  exec_path?: string;
  properties: Properties;
}

/** With values for all that a CPI config leaves open. */
async function entriesOf(file: string, values: Properties): Promise<CpiConfigEntry[]> {
  const config = interpolated(parse(await readFile(`${OPS}/${file}`, 'utf8')), values);
  if (!isCpiConfig(config)) {
    throw new Error(`${file} must have cpis with name, type and properties`);
  }
  return config.cpis;
}

function isCpiConfig(value: unknown): value is { cpis: CpiConfigEntry[] } {
  return (
    isRecord(value) &&
    Array.isArray(value.cpis) &&
    value.cpis.every(
      (entry) => isRecord(entry) && typeof entry.name === 'string' && isRecord(entry.properties),
    )
  );
}
