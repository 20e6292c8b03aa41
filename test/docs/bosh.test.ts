import { access, readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfiguration } from '#lib/config/configuration.ts';
import { cloudProperties } from '#lib/config/file.ts';
import { variablesOf } from '../release/operations.ts';
import { codeOf, sourcesWith, tableBelow } from './tables.ts';

const OPS = 'bosh-release/ops';
const JOB = 'bosh-release/jobs/openstack_cpi';

const page = await readFile('docs/bosh.md', 'utf8');
const templates = await readFile(`${JOB}/templates/cpi.json.erb`, 'utf8');
const packaging = await readFile('bosh-release/packages/openstack_cpi/packaging', 'utf8');
const { version, scripts }: { version: string; scripts: Record<string, string> } = JSON.parse(
  await readFile('package.json', 'utf8'),
);
const spec: { properties: Record<string, unknown> } = parse(await readFile(`${JOB}/spec`, 'utf8'));
const names = Object.keys(spec.properties);
const commands = [...page.matchAll(/```sh\n(.*?)```/gs)].map(([, text = '']) => text);

/** `cloud.properties` as these CPIs' jobs render them, with null for what is not set. */
const RUBY = {
  openstack: {
    auth_url: 'https://keystone.example.org:5000/v3',
    username: 'bosh',
    api_key: 'a-password',
    default_key_name: 'bosh',
    default_security_groups: ['bosh'],
    default_volume_type: null,
    wait_resource_poll_interval: 5,
    ignore_server_availability_zone: false,
    use_nova_networking: false,
    region: 'RegionOne',
    endpoint_type: 'publicURL',
    state_timeout: 300,
    stemcell_public_visibility: false,
    boot_from_volume: false,
    use_dhcp: true,
    domain: 'Default',
    project: 'cf',
    human_readable_vm_names: true,
  },
  registry: { user: null, password: null, address: null, endpoint: 'http://10.0.0.6:25777' },
  agent: {
    ntp: ['time1.example.org'],
    blobstore: { provider: 'dav', options: { endpoint: 'http://10.0.0.6:25250', user: 'a', password: 'b' } },
    mbus: 'nats://10.0.0.6:4222',
  },
};

const GO = {
  openstack: {
    ...RUBY.openstack,
    username: undefined,
    api_key: undefined,
    application_credential_id: 'an-id',
    application_credential_secret: 'a-secret',
    project_id: '6f1e2d3c',
    user_domain_name: 'Default',
    connection_options: { ssl_verify_peer: true, read_timeout: 360, persistent: true },
  },
  agent: { mbus: 'nats://10.0.0.6:4222', ntp: ['time1.example.org'] },
};

/** The first with this in it, without breaks of lines. */
function commandWith(text: string): string {
  const lines = commands.flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'));
  return lines.find((line) => line.includes(text)) ?? '';
}

async function yamlOf(path: string): Promise<unknown> {
  return parse(await readFile(path, 'utf8'));
}

describe('the properties of the job', () => {
  it('are those of the page, and no other', () => {
    const documented = tableBelow('Property by property', page).flatMap(([cell]) => codeOf(cell));

    const expanded = documented.flatMap((name) =>
      name.endsWith('.*') ? names.filter((property) => property.startsWith(name.slice(0, -1))) : [name],
    );
    expect(expanded.sort()).toEqual(names.sort());
  });

  it('that no CPI config changes are those of all sections but one', () => {
    const ofOtherJobs = ['ntp', 'nats', 'blobstore'];
    const sections = [...new Set(names.map((name) => name.split('.')[0] ?? ''))];

    const documented = tableBelow('Several clouds', page)
      .flatMap(([cell]) => codeOf(cell))
      .filter((name) => name.endsWith('.*'));

    expect(documented.sort()).toEqual(
      sections
        .filter((section) => !ofOtherJobs.includes(section))
        .map((section) => `${section}.*`)
        .sort(),
    );
  });
});

describe('the ops files', () => {
  it('are all on the page', async () => {
    const files = await readdir(OPS);

    const documented = tableBelow('Ops files', page).map(([cell]) => codeOf(cell)[0]);

    expect(documented.sort()).toEqual(files.sort());
  });

  it('come after files that are there, or bosh-deployment has', async () => {
    const files = await readdir(OPS);

    const before = tableBelow('Ops files', page).flatMap(([, cell]) => codeOf(cell));

    const ofBoshDeployment = ['openstack/cpi.yml', 'openstack/cpi-secondary.yml'];
    expect(before.filter((file) => !ofBoshDeployment.includes(file) && !files.includes(file))).toEqual([]);
  });

  it('ask for no variable that is not on the page', async () => {
    const files = (await readdir(OPS)).filter((file) => !file.endsWith('cpi-config.yml'));

    const contents = await Promise.all(files.map((file) => yamlOf(`${OPS}/${file}`)));

    const variables = contents.flatMap((content) => [...variablesOf(content)]);
    expect(variables.length).toBeGreaterThan(8);
    expect(variables.filter((name) => !page.includes(name))).toEqual([]);
  });
});

describe('the commands', () => {
  it('name files that exist', async () => {
    const paths = commands.flatMap((text) => [...text.matchAll(/\/ops\/([\w-]+\.yml)/g)]);
    const files = await readdir(OPS);

    expect(paths.length).toBeGreaterThan(6);
    expect(paths.map(([, file = '']) => file).filter((file) => !files.includes(file))).toEqual([]);
  });

  it('of npm are in package.json', () => {
    const names = [...page.matchAll(/npm run (?:--silent )?([\w:]+)/g)].map(([, name = '']) => name);

    expect(names).toContain('release');
    expect(names.filter((name) => !(name in scripts))).toEqual([]);
  });

  it('give bosh create-env each variable that it does not make up itself', async () => {
    const generated = ['blobstore_agent_password', 'nats_password', 'mbus_bootstrap_password'];
    const manifest = await yamlOf('test/release/manifests/openstack-director.yml');
    const release = await yamlOf(`${OPS}/use-serverless-cpi.yml`);
    const needed = [...variablesOf(manifest), ...variablesOf(release)];

    const given = [...commandWith('-v director_name=').matchAll(/ -v (\w+)=/g)].map(([, name = '']) => name);

    expect(given.sort()).toEqual(needed.filter((name) => !generated.includes(name)).sort());
  });

  it('give target lambda each variable that its ops files have', async () => {
    const contents = await Promise.all(
      ['target-lambda.yml', 'target-lambda-keys.yml'].map((file) => yamlOf(`${OPS}/${file}`)),
    );

    const given = [...commandWith('-v functions_region=').matchAll(/ -v (\w+)=/g)].map(([, name]) => name);

    expect(given.sort()).toEqual(contents.flatMap((content) => [...variablesOf(content)]).sort());
  });
});

describe('the links', () => {
  const targets = [...page.matchAll(/\]\((?!https:)([^)#]*)(?:#([^)]*))?\)/g)];

  it.each(targets.map(([, path = '', anchor = '']) => [path, anchor]))(
    'lead to %s %s',
    async (path, anchor) => {
      const file = `docs/${path}`;

      await expect(access(file)).resolves.toBeUndefined();
      const headings = anchor === '' ? [] : (await readFile(file, 'utf8')).match(/^#+ .*$/gm);
      const anchors = headings?.map((heading) =>
        heading.replace(/^#+ /, '').toLowerCase().replaceAll(' ', '-'),
      );
      expect(anchor === '' || anchors?.includes(anchor)).toBe(true);
    },
  );
});

describe('the release', () => {
  it('has the version of package.json in examples', () => {
    const examples = page.match(/\d+\.\d+\.\d+\+serverless\.\d{14}/g) ?? [];

    expect(examples.length).toBeGreaterThan(2);
    expect(examples.filter((example) => !example.startsWith(`${version}+`))).toEqual([]);
  });

  it('needs what packaging says', () => {
    const [, node] = /^needed=(\d+)$/m.exec(packaging) ?? [];
    const [, glibc] = /with glibc ([\d.]+)"/.exec(packaging) ?? [];

    expect(page).toContain(`or Node.js ${node} or newer`);
    expect(page).toContain(`with glibc ${glibc} or newer and libstdc++`);
  });
});

describe('what is refused', () => {
  const rows = tableBelow('What is refused', page).map(([property, , message]) => [
    codeOf(property)[0] ?? '',
    codeOf(message)[0] ?? '',
  ]);
  const values: Record<string, unknown> = {
    enable_auto_anti_affinity: true,
    auth_url: 'https://keystone.example.org:5000/v2.0',
    use_nova_networking: true,
  };

  it.each(rows)('is %s, with the words of the page', (property = '', message = '') => {
    const name = property.replace('openstack.', '');
    const properties = { ...RUBY.openstack, [name]: values[name] };

    expect(values[name]).toBeDefined();
    expect(() => parseConfiguration({ ...RUBY, openstack: properties }, {})).toThrow(message);
  });

  it('before anything changes, is in the templates', () => {
    const messages = tableBelow('What is refused', page)
      .filter(([, when]) => when?.startsWith('when the job is rendered'))
      .flatMap(([, , message]) => codeOf(message));

    expect(messages.length).toBe(1);
    expect(messages.filter((message) => !templates.includes(message))).toEqual([]);
  });
});

describe('the files of other CPIs', () => {
  it.each([
    ['the Ruby CPI', () => RUBY],
    ['the Go CPI', () => GO],
  ])('are read as %s has them', (_, properties) => {
    const file = JSON.stringify({ cloud: { plugin: 'openstack', properties: properties() } });

    const result = parseConfiguration(cloudProperties(JSON.parse(file)), {});

    expect(result.session.region).toBe('RegionOne');
    expect(result.warnings).toEqual([]);
  });
});

describe('the messages while installing', () => {
  const messages = tableBelow('When it does not work', page)
    .filter(([, source]) => source !== '`bosh`' && source !== '`bosh upload-release`')
    .flatMap(([message]) => codeOf(message));
  const isOfBosh = (message: string) => message.startsWith("Can't find property");

  it.each(messages.filter((message) => !isOfBosh(message)))('are in the code: %s', async (message) => {
    const texts = [templates, packaging, await readFile('scripts/release/release.ts', 'utf8')];

    const found = texts.filter((text) => text.includes(message)).length + (await sourcesWith(message)).length;

    expect(found).toBeGreaterThan(0);
  });

  it('tell of a property that the job requires', () => {
    const [, property = ''] = /^Can't find property '(.*)'$/.exec(messages.find(isOfBosh) ?? '') ?? [];

    expect(names).toContain(property);
    expect(spec.properties[property]).not.toHaveProperty('default');
  });
});
