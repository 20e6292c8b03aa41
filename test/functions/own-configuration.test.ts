import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { embeddedStage, MARKED, type Stage } from '../acceptance/stage.ts';
import { type Loopback, startProxy, startServer } from '../lib/support/loopback.ts';
import { directorRequest, refuseSecrets } from '../support/cpi.ts';
import { type FunctionProcess, startFunctionProcess } from '../support/function-process.ts';
import { type ParameterStore, startParameterStore } from '../support/parameter-store.ts';

const REGISTRY_PASSWORD = 'MARKED-SECRET-registry-4711';
const MALLORY = { username: 'mallory', api_key: 'of-mallory', project: 'm', domain: 'm' };
const UNKNOWN_ID = '4f3c7a52-9d0e-4c1b-8a77-0b6f1f2e3d4c';

let stage: Stage;
/** Whatever it is asked, it refuses, but remembers. */
let evil: Loopback;
let evilTls: Loopback;
let evilProxy: Loopback;

beforeAll(async () => {
  stage = await embeddedStage();
  evil = await startServer((response) => response.writeHead(401).end('{}'));
  evilTls = await startServer((response) => response.writeHead(401).end('{}'), { tls: true });
  evilProxy = await startProxy();
});

beforeEach(() => {
  stage.injector.reset();
  stage.embedded?.restore();
});

afterEach(() => {
  for (const { received } of [evil, evilTls, evilProxy]) {
    received.length = 0;
  }
});

afterAll(() => Promise.all([stage.close(), evil.close(), evilTls.close(), evilProxy.close()]));

function ownProperties(): Record<string, Record<string, unknown>> {
  return {
    ...stage.properties,
    registry: { endpoint: stage.injector.registryUrl, user: 'own', password: REGISTRY_PASSWORD },
  };
}

function json(properties: object): string {
  return JSON.stringify({ cloud: { properties } });
}

const secretsOfFunction = () => [...stage.secrets(), REGISTRY_PASSWORD];
const everythingStolen = () => [evil, evilTls, evilProxy].flatMap(({ received }) => received);

describe('functions with credentials of their own', () => {
  let functions: FunctionProcess;

  beforeAll(() => {
    functions = startFunctionProcess({ CPI_CONFIG: json(ownProperties()) });
  });

  afterAll(async () => {
    const written = await functions.close();

    expect(written).toBe('');
  });

  async function hasVm(context: object = {}, properties?: object) {
    const request = directorRequest('has_vm', [UNKNOWN_ID], { context: { ...context } });
    const event = { ...request, ...(properties && { config: { cloud: { properties } } }) };
    const response = await functions.invoke('has_vm', event);
    refuseSecrets([JSON.stringify(response)], secretsOfFunction());
    return response;
  }

  it('answer requests that bring no configuration', async () => {
    expect(await hasVm()).toMatchObject({ result: false, error: null });
  });

  it('answer requests that say the same of the cloud in other words', async () => {
    const authUrl = stage.injector.authUrl.replace(/\/v3$/, '/');

    expect(await hasVm({ auth_url: authUrl, connection_options: { ssl_verify_peer: true } })).toMatchObject({
      result: false,
    });
  });

  it.each<[string, () => object, string]>([
    ['auth_url', () => ({ auth_url: evil.url }), 'auth_url'],
    ['auth_url behind TLS', () => ({ auth_url: evilTls.url, connection_options: {} }), 'auth_url'],
    ['auth_url with a user alone', () => ({ auth_url: evil.url, username: 'mallory' }), 'auth_url'],
    ['auth_url with a key alone', () => ({ auth_url: evil.url, api_key: 'of-mallory' }), 'auth_url'],
    [
      'auth_url with half an application credential',
      () => ({ auth_url: evil.url, application_credential_id: 'm' }),
      'auth_url',
    ],
    [
      'auth_url with null credentials',
      () => ({ auth_url: evil.url, username: null, api_key: null }),
      'auth_url',
    ],
    [
      'auth_url that it allows itself',
      () => ({ auth_url: evil.url, allowed_auth_urls: [evil.url] }),
      'auth_url',
    ],
    [
      'the host of its own auth_url as a user name',
      () => ({
        auth_url: `${stage.injector.authUrl.replace('/v3', '')}@${evil.url.slice('http://'.length)}`,
      }),
      'auth_url',
    ],
    ['proxy', () => ({ connection_options: { proxy: evilProxy.url } }), 'connection_options.proxy'],
    [
      'proxy and authority',
      () => ({
        auth_url: stage.injector.authUrl,
        connection_options: { proxy: evilProxy.url, ssl_verify_peer: false },
      }),
      'connection_options.proxy',
    ],
    [
      'verification',
      () => ({ connection_options: { ssl_verify_peer: false } }),
      'connection_options.ssl_verify_peer',
    ],
    [
      'prototypes',
      () =>
        JSON.parse(`{"auth_url":"${evil.url}","__proto__":{"username":"mallory","api_key":"of-mallory"}}`),
      'auth_url',
    ],
  ])('refuse another %s, in context and config, before anything is sent', async (_, openstack, property) => {
    const answers = [await hasVm(openstack()), await hasVm({}, { openstack: openstack() })];

    for (const { error } of answers) {
      expect(error).toMatchObject({ type: 'Bosh::Clouds::CpiError', ok_to_retry: false });
      expect(error?.message).toContain(`openstack.${property} must be the function's own`);
    }
    expect(everythingStolen()).toEqual([]);
    expect(stage.injector.requests).toEqual([]);
  });

  it('let a caller log in elsewhere with its own credentials, and show nothing of theirs', async () => {
    const { error } = await hasVm({ auth_url: evil.url, ...MALLORY });

    expect(error?.message).toContain('refused the credentials');
    expect(evil.received.map(({ body }) => JSON.parse(body))).toEqual([
      {
        auth: {
          identity: {
            methods: ['password'],
            password: { user: { name: 'mallory', domain: { name: 'm' }, password: 'of-mallory' } },
          },
          scope: { project: { name: 'm', domain: { name: 'm' } } },
        },
      },
    ]);
    expect(stage.injector.requests).toEqual([]);
  });

  it('do not lend their project to credentials of a caller', async () => {
    const { error } = await hasVm({ auth_url: evil.url, username: 'mallory', api_key: 'of-mallory' });

    expect(error?.message).toContain('openstack.project or openstack.project_id is required');
    expect(evil.received).toEqual([]);
  });

  it('give the settings of their agents and their registry to no VM in a cloud of the caller', async () => {
    const other = await embeddedStage();
    try {
      const { cloud, injector } = other;
      const { id, secret } = cloud.application_credential;
      const context = {
        auth_url: injector.authUrl,
        application_credential_id: id,
        application_credential_secret: secret,
        default_key_name: cloud.keypair,
        default_security_groups: ['bosh'],
      };
      const networks = {
        a: { type: 'manual', ip: '10.10.0.50', cloud_properties: { net_id: cloud.networks['net-a'].id } },
      };
      const args = ['agent-007', cloud.image.id, { instance_type: 'm1.small' }, networks, [], {}];

      const response = await functions.invoke('create_vm', directorRequest('create_vm', args, { context }));

      expect(response.error).toBeNull();
      expect(response.log).toContain("WARN [req_id cpi-123456] the function's own agent is not used");
      const sent = JSON.stringify(injector.requests.map(({ headers, body }) => [headers, body]));
      expect(sent).toContain('user_data');
      refuseSecrets([sent], [MARKED.mbusPassword, MARKED.blobstorePassword, REGISTRY_PASSWORD]);
      expect(stage.injector.requests).toEqual([]);
    } finally {
      await other.close();
    }
  });

  it('say nothing of their own to a registry of the caller', async () => {
    const { image, networks: nets } = stage.cloud;
    const networks = {
      a: { type: 'manual', ip: '10.10.0.50', cloud_properties: { net_id: nets['net-a'].id } },
    };
    const args = ['agent-007', image.id, { instance_type: 'm1.small' }, networks, [], {}];
    const request = directorRequest('create_vm', args, { stemcellVersion: 1 });
    const create = async (registry: object) => {
      const response = await functions.invoke('create_vm', {
        ...request,
        config: { cloud: { properties: { registry } } },
      });
      refuseSecrets([JSON.stringify(response)], secretsOfFunction());
      return response;
    };

    const anonymous = await create({ endpoint: evil.url });
    const known = await create({ endpoint: evil.url, user: 'm', password: 'of-mallory' });

    expect(anonymous.error?.message).toContain('the registry has to be configured');
    expect(known.error?.message).toContain('got HTTP 401');
    const basic = Buffer.from('m:of-mallory').toString('base64');
    expect(evil.received.map(({ headers }) => headers.authorization)).toEqual(
      evil.received.map(() => `Basic ${basic}`),
    );
    expect(evil.received.length).toBeGreaterThan(0);
  });

  it('do as the binary says when they run within it', async () => {
    const request = directorRequest('has_vm', [UNKNOWN_ID], { context: { auth_url: evil.url } });
    const properties = { openstack: { ...stage.properties.openstack, ...MALLORY } };
    const event = { ...request, config: { cloud: { properties } } };

    const { error } = await functions.invoke('has_vm', event, { isInProcess: true });

    expect(error?.message).toContain('refused the credentials');
    expect(evil.received).toHaveLength(1);
  });
});

describe('functions with a list of allowed clouds', () => {
  it('log in there with their own credentials, but by no way of the caller', async () => {
    const openstack = {
      ...stage.properties.openstack,
      auth_url: evil.url,
      allowed_auth_urls: [stage.injector.authUrl.replace('http', 'HTTP').replace(/\/v3$/, '/')],
    };
    const functions = startFunctionProcess({ CPI_CONFIG: json({ ...ownProperties(), openstack }) });
    const hasVm = (context: object) =>
      functions.invoke('has_vm', directorRequest('has_vm', [UNKNOWN_ID], { context: { ...context } }));
    const { authUrl } = stage.injector;

    const allowed = await hasVm({ auth_url: authUrl });
    const impatient = await hasVm({ auth_url: authUrl, connection_options: { read_timeout: 30 } });
    const proxied = await hasVm({ auth_url: authUrl, connection_options: { proxy: evilProxy.url } });
    await functions.close();

    expect([allowed, impatient]).toMatchObject([{ result: false }, { result: false }]);
    expect(proxied.error?.message).toContain('openstack.connection_options.proxy must be');
    expect(everythingStolen()).toEqual([]);
  });
});

describe('functions with a parameter', () => {
  let store: ParameterStore;

  beforeEach(async () => {
    store = await startParameterStore();
  });

  afterEach(() => store.close());

  function start(): FunctionProcess {
    return startFunctionProcess({
      CPI_CONFIG_PARAMETER: '/bosh/cpi',
      AWS_ENDPOINT_URL: store.url,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'AKIA1',
      AWS_SECRET_ACCESS_KEY: 'MARKED-SECRET-aws-4711',
    });
  }

  it('read it once, whichever of them is called', async () => {
    store.parameters.set('/bosh/cpi', json(ownProperties()));
    const functions = start();

    const vm = await functions.invoke('has_vm', directorRequest('has_vm', [UNKNOWN_ID]));
    const disk = await functions.invoke('has_disk', directorRequest('has_disk', [UNKNOWN_ID]));
    await functions.close();

    expect([vm, disk]).toMatchObject([{ result: false }, { result: false }]);
    expect(store.received).toHaveLength(1);
  });

  it('answer what is wrong with it, and read it again for the next request', async () => {
    store.parameters.set('/bosh/cpi', `{"cloud": ${MARKED.mbusPassword}`);
    const functions = start();
    const request = directorRequest('has_vm', [UNKNOWN_ID]);

    const broken = await functions.invoke('has_vm', request);
    store.parameters.delete('/bosh/cpi');
    const missing = await functions.invoke('has_vm', request);
    store.parameters.set('/bosh/cpi', json(ownProperties()));
    const good = await functions.invoke('has_vm', request);
    const written = await functions.close();

    expect(broken.error).toEqual({
      type: 'Bosh::Clouds::CpiError',
      message: "The SSM parameter '/bosh/cpi' is not JSON",
      ok_to_retry: false,
    });
    expect(missing.error?.message).toContain("Cannot read the SSM parameter '/bosh/cpi'");
    expect(good).toMatchObject({ result: false });
    refuseSecrets([JSON.stringify([broken, missing, good]), written], secretsOfFunction());
  });

  it('do not read it to tell what they are', async () => {
    const functions = start();

    const { error } = await functions.invoke('info', directorRequest('info', []));
    await functions.close();

    expect(error).toBeNull();
    expect(store.received).toEqual([]);
  });
});

describe('functions without any configuration of their own', () => {
  it('use what the request brings, even another cloud', async () => {
    const functions = startFunctionProcess({});
    const context = { region: stage.cloud.region, auth_url: stage.injector.authUrl };
    const openstack = { ...stage.properties.openstack, auth_url: evil.url };
    const request = directorRequest('has_vm', [UNKNOWN_ID], { context });

    const complete = await functions.invoke('has_vm', {
      ...request,
      config: { cloud: { properties: { openstack } } },
    });
    const none = await functions.invoke('has_vm', directorRequest('has_vm', [UNKNOWN_ID]));
    await functions.close();

    expect(complete).toMatchObject({ result: false });
    expect(none.error?.message).toBe(
      "Invalid OpenStack cloud properties: No 'openstack' properties specified.",
    );
    expect(evil.received).toEqual([]);
  });

  it('do not show what is wrong in their environment', async () => {
    const { openstack } = ownProperties();
    const wrong = { ...openstack, state_timeout: MARKED.mbusPassword, region: { a: MARKED.envPassword } };
    const functions = startFunctionProcess({ CPI_CONFIG: json({ openstack: wrong }) });

    const response = await functions.invoke('has_vm', directorRequest('has_vm', [UNKNOWN_ID]));
    const written = await functions.close();

    expect(response.error?.message).toBe(
      'Invalid OpenStack cloud properties: openstack.region must be a string; openstack.state_timeout must be a number of ' +
        'seconds',
    );
    refuseSecrets([JSON.stringify(response), written], secretsOfFunction());
  });
});
