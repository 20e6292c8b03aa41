import { inspect } from 'node:util';
import middy from '@middy/core';
import { afterEach, describe, expect, it } from 'vitest';
import { CloudError, CpiError } from '#lib/cpi/errors.ts';
import { type FunctionServer, serveFunctions } from '#lib/host/http-server.ts';
import { Logger } from '#lib/log/logger.ts';
import type { CpiHandler } from '#lib/middleware/cpi-function.ts';
import { envelope } from '#lib/middleware/envelope.ts';
import { httpEvent } from '#lib/middleware/http-event.ts';
import type { FunctionContext } from '#lib/middleware/middleware.ts';
import { requestShape } from '#lib/middleware/request-shape.ts';
import { storeEvent } from '#lib/middleware/store-event.ts';
import { OpenStackError } from '#lib/openstack/errors.ts';
import { awsEvent, cephEvent, minioEvent, TEST_EVENT } from '../../support/store-events.ts';

const TOKEN = 'for-this-test-only';
const OBJECT = { bucket: 'stemcells', key: 'bosh stemcell.tgz' };
const UNKNOWN = { Records: [{ eventSource: 'aws:sqs', body: 'hunter2' }] };

/** A function of what comes before the configuration in all of them. */
function functionOf(step: (args: unknown[], context: FunctionContext) => unknown): CpiHandler {
  const stack = middy()
    .use(httpEvent())
    .use(storeEvent())
    .use(envelope())
    .use(requestShape('stemcell_uploaded'))
    .handler((_: unknown, context: FunctionContext) => step(context.cpi?.request?.arguments ?? [], context));
  return stack as unknown as CpiHandler;
}

const echo = functionOf((args) => args);

function failing(error: Error): CpiHandler {
  return functionOf((_, { cpi }) => {
    cpi?.log?.info('upload 10 %');
    throw error;
  });
}

/** As function URLs make it of a request. */
function overHttp(body: object): object {
  return { version: '2.0', requestContext: { http: { method: 'POST' } }, body: JSON.stringify(body) };
}

function parsed(answer: unknown): unknown {
  const { body, ...rest } = answer as { body: string };
  return { ...rest, body: JSON.parse(body) };
}

describe('an event of a store', () => {
  it.each([
    ['AWS S3', awsEvent],
    ['MinIO', minioEvent],
    ['Ceph', cephEvent],
  ])('of %s is the request of a function, directly and over HTTP', async (_, storeEventOf) => {
    const event = storeEventOf({ ...OBJECT, event: 'ObjectCreated:Put' });
    const result = [[{ ...OBJECT, event: 'ObjectCreated:Put' }]];

    const direct = await echo(event, {});
    const behindUrl = await echo(overHttp(event), {});

    expect(direct).toEqual({ result, error: null, log: '' });
    expect(parsed(behindUrl)).toEqual({
      statusCode: 200,
      headers: { 'content-type': 'application/json' },
      body: { result, error: null, log: '' },
    });
  });

  it('brings nothing but its objects', async () => {
    const context: FunctionContext = {};

    await echo(
      {
        ...awsEvent(OBJECT),
        context: { auth_url: 'http://192.0.2.1' },
        config: { cloud: {} },
        invocation: { id: 'x' },
        api_version: 3,
      },
      context,
    );

    expect(context.cpi?.request).toMatchObject({ context: {}, invocation: undefined, apiVersion: 1 });
  });

  it('may be delivered twice, which the function is told', async () => {
    const context: FunctionContext = {};

    await echo(awsEvent(OBJECT), context);

    expect(context.mayBeDeliveredTwice).toBe(true);
  });

  it('that only tries a configuration out has no objects', async () => {
    expect(await echo(TEST_EVENT, {})).toEqual({ result: [[]], error: null, log: '' });
  });

  it('that nobody understands is answered once and for all', async () => {
    const answer = {
      result: null,
      error: {
        type: 'Bosh::Clouds::CpiError',
        message: expect.stringMatching(/^Invalid request: an event of an S3 store was expected: /),
        ok_to_retry: false,
      },
      log: '',
    };

    const direct = await echo(UNKNOWN, {});
    const behindUrl = await echo(overHttp(UNKNOWN), {});

    expect(direct).toEqual(answer);
    expect(parsed(behindUrl)).toMatchObject({ statusCode: 200, body: answer });
    expect(JSON.stringify([direct, behindUrl])).not.toContain('hunter2');
  });

  it.each([
    ['OpenStack', new OpenStackError('Keystone is not there'), 'CloudError'],
    ['the function', new CloudError('it takes too long'), 'CloudError'],
    ['the configuration', new CpiError('openstack.auth_url must be a URL'), 'CpiError'],
  ])('fails where an error of %s keeps it from being dealt with', async (_, error, type) => {
    const failure = await failing(error)(awsEvent(OBJECT), {}).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );

    expect(failure).toMatchObject({
      name: 'DeliveryFailed',
      message: error.message,
      stack: expect.stringMatching(
        new RegExp(
          `^DeliveryFailed: ${error.message}\n.* INFO upload 10 %\n.* ERROR method failed: .*::${type} `,
        ),
      ),
    });
  });

  it('has the status 503 then over HTTP', async () => {
    const answer = await failing(new CloudError('Glance is full'))(overHttp(awsEvent(OBJECT)), {});

    expect(parsed(answer)).toEqual({
      statusCode: 503,
      headers: { 'content-type': 'application/json', 'retry-after': '30' },
      body: {
        result: null,
        error: { type: 'Bosh::Clouds::CloudError', message: 'Glance is full', ok_to_retry: false },
        log: expect.stringContaining('INFO upload 10 %'),
      },
    });
  });

  it('fails with a defect of the function, of which only the kind is told', async () => {
    const failure = await failing(new TypeError('hunter2'))(awsEvent(OBJECT), {}).catch(
      (thrown: unknown) => thrown,
    );

    expect(failure).toMatchObject({
      message: 'Internal error of the OpenStack CPI, please report it: TypeError',
    });
    expect(inspect(failure, { depth: 10 })).not.toContain('hunter2');
  });
});

describe('a CPI request to a function that takes events', () => {
  it.each([
    ['arguments', { arguments: [[OBJECT]] }],
    ['a method', { method: 'stemcell_uploaded', arguments: [[OBJECT]] }],
  ])('with %s is left as it is', async (_, event) => {
    const context: FunctionContext = {};

    expect(await echo({ ...event, ...awsEvent() }, context)).toEqual({
      result: [[OBJECT]],
      error: null,
      log: '',
    });
    expect(context.mayBeDeliveredTwice).toBeUndefined();
  });

  it('has its errors answered', async () => {
    const handler = failing(new CloudError('Glance is full'));
    const error = { type: 'Bosh::Clouds::CloudError', message: 'Glance is full', ok_to_retry: false };

    expect(await handler({ arguments: [] }, {})).toMatchObject({ result: null, error });
    expect(parsed(await handler(overHttp({ arguments: [] }), {}))).toMatchObject({
      statusCode: 200,
      body: { result: null, error },
    });
  });

  it('by another HTTP method than POST is refused', async () => {
    const event = { version: '2.0', requestContext: { http: { method: 'GET' } } };

    expect(parsed(await echo(event, {}))).toMatchObject({
      statusCode: 405,
      body: { error: { message: 'Invalid request: the HTTP method POST was expected' } },
    });
  });
});

describe('the server of functions', () => {
  let server: FunctionServer | undefined;

  afterEach(() => server?.close());

  async function post(handler: CpiHandler, event: object): Promise<{ status: number; body: unknown }> {
    server = await serveFunctions({
      functions: { stemcell_uploaded: async () => ({ handler }) },
      token: TOKEN,
      port: 0,
      host: '127.0.0.1',
      log: new Logger(() => {}),
    });
    const response = await fetch(`http://127.0.0.1:${server.port}/stemcell-uploaded`, {
      method: 'POST',
      // As MinIO sends its auth_token.
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify(event),
    });
    return { status: response.status, body: await response.json() };
  }

  it('takes events', async () => {
    expect(await post(echo, minioEvent(OBJECT))).toEqual({
      status: 200,
      body: { result: [[{ ...OBJECT, event: 'ObjectCreated:Put' }]], error: null, log: '' },
    });
  });

  it('lets events come again that could not be dealt with', async () => {
    const { status, body } = await post(failing(new CloudError('Glance is full')), minioEvent(OBJECT));

    expect(status).toBe(503);
    expect(body).toMatchObject({ result: null, error: { message: 'Glance is full' } });
  });
});
