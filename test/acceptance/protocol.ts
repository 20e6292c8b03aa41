import { describe, expect, it } from 'vitest';
import { type Cpi, startCpi } from '../support/cpi.ts';
import { bodyOf, expectError, type GetStage, leavesNothing, resultOf, sent, UNKNOWN_ID } from './scenario.ts';
import type { Stage } from './stage.ts';

const INFO =
  '{"result":{"api_version":3,"stemcell_formats":["openstack-raw","openstack-qcow2","openstack-light"]},"error":null,"log":""}\n';

/** dist/cpi itself, also where the other tests call what it calls. Its exit status must be 0. */
async function withBinary(
  { properties, secrets }: Stage,
  use: (cpi: Cpi) => Promise<void>,
  overrides: Record<string, Record<string, unknown>> = properties,
): Promise<void> {
  const cpi = await startCpi({ run: 'process', properties: overrides, secrets });
  try {
    await use(cpi);
  } finally {
    await cpi.close();
  }
}

export function protocol(getStage: GetStage): void {
  describe('protocol and configuration', () => {
    leavesNothing(getStage);

    it('P1 info answers exactly one JSON object without a request, with credentials or without', async () => {
      const stage = getStage();
      const unconfigured = { openstack: { auth_url: stage.injector.authUrl } };

      await withBinary(stage, async (cpi) => {
        const { stdout } = await cpi.call('info', [], { stemcellVersion: 3 });
        expect(stdout).toBe(INFO);
      });
      await withBinary(
        stage,
        async (cpi) => {
          const { stdout } = await cpi.call('info', [], { stemcellVersion: 3 });
          expect(stdout).toBe(INFO);
        },
        unconfigured,
      );

      expect(stage.injector.requests).toEqual([]);
    });

    it('P2 refuses ping, current_vm_id, unknown methods and configure_networks without a request', async () => {
      const { cpi, injector } = getStage();

      for (const method of ['ping', 'current_vm_id', 'no_such_method']) {
        expectError(await cpi.call(method, []), 'NotImplemented', `Method is not known, got '${method}'`);
      }
      const networks = {
        default: { type: 'manual', ip: '10.10.0.9', cloud_properties: { net_id: 'secret' } },
      };
      const refused = await cpi.call('configure_networks', ['vm', networks]);

      expectError(
        refused,
        'NotSupported',
        'network configuration change requires VM recreation: ',
        '10.10.0.9',
      );
      expect(refused.error?.message).not.toContain('secret');
      expect(injector.requests).toEqual([]);
    });

    it('P3 answers malformed input with CpiError, and ends with status 0', async () => {
      const stage = getStage();

      await withBinary(stage, async (cpi) => {
        expectError(await cpi.send('{'), 'CpiError', 'Request cannot be deserialized:');
        expectError(
          await cpi.send('{"method":"has_vm","context":{},"api_version":2}'),
          'CpiError',
          "Invalid request: 'arguments' must be an array",
        );
        expectError(
          await cpi.call('create_disk', []),
          'CpiError',
          "Arguments are not correct, details: 'create_disk' expects",
        );
      });

      expect(stage.injector.requests).toEqual([]);
    });

    it('P4 begins log lines with the request id, and logs each exchange', async () => {
      const { cpi, injector } = getStage();

      const { stderr } = await cpi.call('has_vm', [UNKNOWN_ID], { requestId: 1234 });

      const lines = stderr.trimEnd().split('\n');
      expect(lines.length).toBeGreaterThan(3);
      for (const line of lines) {
        expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z (DEBUG|INFO|WARN|ERROR) \[req_id 1234\] /);
      }
      const injectorUrl = injector.authUrl.replace('/identity/v3', '');
      expect(stderr).toMatch(
        new RegExp(`http\\.request GET ${injectorUrl}/compute/\\S+/servers/${UNKNOWN_ID}(\\s|$)`, 'm'),
      );
      expect(stderr).toMatch(new RegExp(`http\\.response 404 .*/servers/${UNKNOWN_ID}`));
    });

    it('P5 deletes a disk that does not exist, and logs the 404 without a stack trace', async () => {
      const { cpi, cloud } = getStage();

      const outcome = await cpi.call('delete_disk', ['123']);

      expect(resultOf(outcome)).toBeNull();
      expect(outcome.stderr).toMatch(new RegExp(`http\\.response 404 .*/v3/${cloud.project_id}/volumes/123`));
      expect(outcome.stderr).not.toMatch(/^\s+at /m);
      expect(outcome.stderr).not.toContain('\\n    at ');
    });

    it('P6 names the configuration property that it does not support, without a request', async () => {
      const { cpi, injector, properties } = getStage();
      const hasVmWith = (openstack: object) =>
        cpi.call('has_vm', [UNKNOWN_ID], { properties: { openstack: { ...openstack } } });

      const oldKeystone = await hasVmWith({
        ...properties.openstack,
        auth_url: injector.authUrl.replace('/v3', '/v2.0'),
      });
      const oldNetwork = await hasVmWith({ use_nova_networking: true });

      const invalid = 'Invalid OpenStack cloud properties: ';
      expectError(oldKeystone, 'CpiError', invalid, 'openstack.auth_url: Keystone v2.0 is not supported');
      expectError(
        oldNetwork,
        'CpiError',
        invalid,
        'openstack.use_nova_networking: nova-network is not supported',
      );
      expect(injector.requests).toEqual([]);
    });

    it('P7 logs in with an application credential alone, without scope', async () => {
      const stage = getStage();
      const { id, secret } = stage.cloud.application_credential;
      const openstack = {
        username: null,
        api_key: null,
        project: null,
        domain: null,
        application_credential_id: id,
        application_credential_secret: secret,
      };

      const outcome = await stage.cpi.call('has_vm', [UNKNOWN_ID], { properties: { openstack } });

      expect(resultOf(outcome)).toBe(false);
      const [login] = sent(stage, 'POST', /^\/auth\/tokens$/);
      expect(bodyOf(login)).toEqual({
        auth: { identity: { methods: ['application_credential'], application_credential: { id, secret } } },
      });
    });

    it('P7 names the domain of the user and that of the project', async () => {
      const stage = getStage();
      const { cloud, cpi } = stage;
      const openstack = { domain: null, user_domain_name: cloud.domain, project_domain_name: 'elsewhere' };

      const outcome = await cpi.call('has_vm', [UNKNOWN_ID], { properties: { openstack } });

      const [login] = sent(stage, 'POST', /^\/auth\/tokens$/);
      expect(bodyOf(login).auth).toMatchObject({
        identity: { password: { user: { name: cloud.user, domain: { name: cloud.domain } } } },
        scope: { project: { name: cloud.project, domain: { name: 'elsewhere' } } },
      });
      expectError(outcome, 'CloudError', 'The OpenStack Identity service refused the credentials');
    });

    it('P8 calls the endpoints of the configured region only', async () => {
      const stage = getStage();
      const { cpi, cloud, injector, operator } = stage;

      expect(resultOf(await cpi.call('has_disk', [UNKNOWN_ID]))).toBe(false);
      expect(resultOf(await cpi.call('has_vm', [UNKNOWN_ID]))).toBe(false);

      const afterLogin = injector.requests.filter(({ service }) => service !== 'identity');
      expect(afterLogin.map(({ region }) => region)).toEqual([cloud.region, cloud.region]);
      expect(await operator.regions()).toHaveLength(2);
    });

    it('P8 asks for a region where the catalog has two, and lists them', async () => {
      const { cpi, operator } = getStage();

      const outcome = await cpi.call('has_vm', [UNKNOWN_ID], { properties: { openstack: { region: null } } });

      const [one = '', other = ''] = await operator.regions();
      expectError(outcome, 'CpiError', 'openstack.region', one, other);
    });

    it('P9 logs in again when a service refuses the token once', async () => {
      const stage = getStage();
      stage.injector.inject({
        match: { service: 'volume', method: 'GET' },
        fault: { status: 401 },
        times: 1,
      });

      const outcome = await stage.cpi.call('has_disk', [UNKNOWN_ID]);

      expect(resultOf(outcome)).toBe(false);
      expect(sent(stage, 'POST', /^\/auth\/tokens$/)).toHaveLength(2);
      expect(sent(stage, 'GET', /^\/volumes\//)).toHaveLength(2);
    });
  });
}
