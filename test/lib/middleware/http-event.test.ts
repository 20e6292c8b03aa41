import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEvent, APIGatewayProxyEventV2 } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { handler as createVm } from '#functions/create-vm.ts';
import { handler as hasVm } from '#functions/has-vm.ts';
import { handler as info } from '#functions/info.ts';
import type { FunctionContext } from '#lib/middleware/middleware.ts';
import { embeddedCloud } from '../../functions/embedded-cloud.ts';
import { directorRequest } from '../../support/cpi.ts';

const INFO = {
  result: { api_version: 3, stemcell_formats: ['openstack-raw', 'openstack-qcow2', 'openstack-light'] },
  error: null,
  log: '',
};
const JSON_HEADERS = { 'content-type': 'application/json' };

/** As function URLs and HTTP APIs make it. */
function urlEvent(
  body: string | undefined,
  options: { method?: string; isBase64Encoded?: boolean } = {},
): APIGatewayProxyEventV2 {
  const { method = 'POST', isBase64Encoded = false } = options;
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: '/',
    rawQueryString: '',
    headers: { 'content-type': 'application/json', host: 'abc.lambda-url.eu-central-1.on.aws' },
    requestContext: {
      accountId: '123456789012',
      apiId: 'abc',
      domainName: 'abc.lambda-url.eu-central-1.on.aws',
      domainPrefix: 'abc',
      http: { method, path: '/', protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'curl/8.5.0' },
      requestId: 'e1506fd5-9e7b-434f-bd42-4f8fa224b599',
      routeKey: '$default',
      stage: '$default',
      time: '22/Nov/2026:12:00:00 +0000',
      timeEpoch: 1795348800000,
    },
    ...(body === undefined ? {} : { body }),
    isBase64Encoded,
  };
}

/** As REST APIs make it. */
function restEvent(body: string | null): Partial<APIGatewayProxyEvent> {
  return {
    resource: '/{proxy+}',
    path: '/info',
    httpMethod: 'POST',
    headers: { 'content-type': 'application/json' },
    requestContext: { stage: 'prod', resourcePath: '/{proxy+}', httpMethod: 'POST' } as never,
    body,
    isBase64Encoded: false,
  };
}

function refusal(message: string): object {
  return { result: null, error: { type: 'Bosh::Clouds::CpiError', message, ok_to_retry: false }, log: '' };
}

function parsed(answer: unknown): unknown {
  const { body, ...rest } = answer as { body: string };
  return { ...rest, body: JSON.parse(body) };
}

describe('a function behind HTTP', () => {
  const request = JSON.stringify(directorRequest('info', []));

  it.each([
    ['a function URL', urlEvent(request)],
    [
      'a function URL, in base64',
      urlEvent(Buffer.from(request).toString('base64'), { isBase64Encoded: true }),
    ],
    ['a REST API', restEvent(request)],
  ])('answers a request from %s with the status 200', async (_, event) => {
    const answer = await info(event, {});

    expect(parsed(answer)).toEqual({ statusCode: 200, headers: JSON_HEADERS, body: INFO });
  });

  it.each([
    ['is not JSON', 'password: hunter2', 'Request cannot be deserialized: the body is not JSON'],
    ['is empty', '', 'Request cannot be deserialized: the body is empty'],
    ['is missing', undefined, 'Request cannot be deserialized: the body is empty'],
    [
      'is nested too deeply',
      '['.repeat(1000) + ']'.repeat(1000),
      'Request cannot be deserialized: it is nested too deeply',
    ],
    ['is no object', '[]', 'Invalid request: a JSON object was expected'],
  ])('answers a body that %s with the CPI error and the status 200', async (_, body, message) => {
    const answer = await info(urlEvent(body), {});

    expect(parsed(answer)).toEqual({ statusCode: 200, headers: JSON_HEADERS, body: refusal(message) });
  });

  it('answers a request that its method refuses with the status 200', async () => {
    const answer = await info(urlEvent('{"method":"delete_vm","arguments":["vm"]}'), {});

    expect(parsed(answer)).toMatchObject({
      statusCode: 200,
      body: { error: { message: "Invalid request: 'method' must be 'info' for this function" } },
    });
  });

  it.each(['GET', 'PUT', 'DELETE', 'OPTIONS'])('refuses %s', async (method) => {
    const answer = await info(urlEvent(request, { method }), {});

    expect(parsed(answer)).toEqual({
      statusCode: 405,
      headers: { ...JSON_HEADERS, allow: 'POST' },
      body: refusal('Invalid request: the HTTP method POST was expected'),
    });
  });

  it('is told that a request may arrive twice', async () => {
    const context: FunctionContext = {};

    await info(urlEvent(request), context);

    expect(context.mayBeDeliveredTwice).toBe(true);
  });

  it('unwraps a request only once', async () => {
    const answer = await info(urlEvent(JSON.stringify(urlEvent(request))), {});

    expect(parsed(answer)).toMatchObject({
      statusCode: 200,
      body: { result: null, error: { message: "Invalid request: 'arguments' must be an array" } },
    });
  });

  it('takes nothing from the wrapping', async () => {
    const event = {
      ...urlEvent('{"method":"has_vm","arguments":["vm"]}'),
      config: { cloud: {} },
      context: [],
    };

    const answer = await hasVm(event, {});

    expect(parsed(answer)).toMatchObject({
      body: {
        error: { message: "Invalid OpenStack cloud properties: No 'openstack' properties specified." },
      },
    });
  });
});

describe('a function that is invoked directly', () => {
  it.each([
    ['arguments', { arguments: [] }],
    ['a method', { method: 'info' }],
  ])('takes an event with %s for a CPI request, whatever else it looks like', async (_, part) => {
    const context: FunctionContext = {};

    const answer = await info({ ...urlEvent('{"arguments":[1]}'), ...part }, context);

    expect(answer).toHaveProperty('log');
    expect(answer).not.toHaveProperty('statusCode');
    expect(context.mayBeDeliveredTwice).toBeUndefined();
  });

  it.each([
    ['has no context of a gateway', { version: '2.0', httpMethod: 'POST', body: '{"arguments":[]}' }],
    ['has a context without HTTP', { version: '2.0', requestContext: {}, body: '{"arguments":[]}' }],
    ['is of another version', { version: '3.0', requestContext: { http: { method: 'POST' } } }],
    ['is null', null],
  ])('does not take an event for HTTP that %s', async (_, event) => {
    const answer = await info(event, {});

    expect(answer).toMatchObject({ result: null, error: { type: 'Bosh::Clouds::CpiError' } });
  });

  it('unwraps nothing in the process of the binary', async () => {
    const answer = await info(urlEvent('{"arguments":[]}'), { inProcess: { logSink: () => {} } });

    expect(answer).toMatchObject({ error: { message: "Invalid request: 'arguments' must be an array" } });
  });
});

describe('a cloud behind HTTP', () => {
  const stage = embeddedCloud();

  function event(method: string, args: unknown[], more: object = {}): object {
    const { properties } = stage();
    return urlEvent(
      JSON.stringify({ ...directorRequest(method, args), config: { cloud: { properties } }, ...more }),
    );
  }

  it('is reached, and the log comes with the answer', async () => {
    const answer = await hasVm(event('has_vm', ['no-such-vm']), {});

    expect(parsed(answer)).toMatchObject({
      statusCode: 200,
      headers: JSON_HEADERS,
      body: { result: false, error: null, log: expect.stringContaining('method has_vm arguments') },
    });
  });

  it('is left to another attempt with the status 200', async () => {
    stage().injector.inject({ match: { service: 'compute' }, fault: { delayMs: 300 } });

    const answer = await hasVm(
      event('has_vm', ['no-such-vm'], { invocation: { id: randomUUID(), attempt: 1, lap_ms: 100 } }),
      {},
    );

    expect(parsed(answer)).toEqual({
      statusCode: 200,
      headers: JSON_HEADERS,
      body: {
        pending: { reason: expect.any(String), resume: expect.any(Object) },
        log: expect.stringContaining('method has_vm arguments'),
      },
    });
  });

  it('has its errors answered with the status 200', async () => {
    const answer = await createVm(
      event('create_vm', [
        'agent',
        'no-such-stemcell',
        { instance_type: 'm1.small' },
        { a: { type: 'dynamic', cloud_properties: { net_id: stage().cloud.networks['net-a'].id } } },
        [],
        {},
      ]),
      {},
    );

    expect(parsed(answer)).toMatchObject({
      statusCode: 200,
      body: { result: null, error: { type: expect.stringMatching(/^Bosh::Clouds::/) } },
    });
  });
});
