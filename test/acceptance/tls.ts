import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { expectError, type GetStage, resultOf, UNKNOWN_ID } from './scenario.ts';

/** For clouds that answer through TLS, too, with certificates of an authority of their own. */
export function tls(getStage: GetStage): void {
  describe('TLS', () => {
    const throughTls = (connectionOptions: object) => {
      const { cloud, cpi } = getStage();
      const openstack = {
        auth_url: cloud.auth_url_tls,
        region: cloud.region_tls,
        connection_options: connectionOptions,
      };
      return cpi.call('has_vm', [UNKNOWN_ID], { properties: { openstack } });
    };
    const caFile = () => getStage().cloud.ca_file ?? '';

    it('trusts the certificate authority of connection_options.ca_cert', async () => {
      const outcome = await throughTls({ ca_cert: await readFile(caFile(), 'utf8') });

      expect(resultOf(outcome)).toBe(false);
      expect(outcome.stderr).toMatch(/http\.response 404 .*\/servers\//);
    });

    it('trusts the certificate authority of connection_options.ssl_ca_file', async () => {
      expect(resultOf(await throughTls({ ssl_ca_file: caFile() }))).toBe(false);
    });

    it('trusts anybody with ssl_verify_peer false, and warns', async () => {
      const outcome = await throughTls({ ssl_verify_peer: false });

      expect(resultOf(outcome)).toBe(false);
      expect(outcome.stderr).toMatch(/ WARN .*ssl_verify_peer/);
    });

    it('names host and remedy when it does not know the certificate authority', async () => {
      const outcome = await throughTls({});

      const { host } = new URL(getStage().cloud.auth_url_tls ?? '');
      expectError(
        outcome,
        'CloudError',
        'Unable to connect to the OpenStack Identity Service API',
        host,
        'certificate verify failed',
        'connection_options.ca_cert',
      );
    });
  });
}
