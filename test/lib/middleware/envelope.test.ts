import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

const SECRET = 'MARKED-SECRET-4711';
const event = {
  arguments: ['vm-1'],
  config: {
    cloud: {
      properties: {
        openstack: {
          auth_url: 'http://127.0.0.1:1/v3',
          username: 'bosh',
          api_key: 'unused',
          project: 'bosh',
          domain: 'Default',
        },
      },
    },
  },
};

describe('a defect', () => {
  const handler = cpiFunction('has_vm', () => {
    throw Object.assign(new TypeError(`cannot read ${SECRET}`), { request: { api_key: SECRET } });
  });

  it('is an error of a deployed function, of which only kind and place are told', async () => {
    const error = await handler(event, {}).catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({
      message: 'Internal error of the OpenStack CPI, please report it: TypeError',
      stack: expect.stringContaining('envelope.test.ts'),
    });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(SECRET);
  });

  it('is whole in the process of the binary, which keeps it from its outputs', async () => {
    const error = await handler(event, { inProcess: { logSink: () => {} } }).catch(
      (thrown: unknown) => thrown,
    );

    expect(error).toMatchObject({ name: 'TypeError', message: `cannot read ${SECRET}` });
  });
});
