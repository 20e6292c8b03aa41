import { describe, expect, it } from 'vitest';
import { ConnectionError } from '#lib/http/errors.ts';
import {
  BadRequestError,
  ConflictError,
  ForbiddenError,
  HttpError,
  httpError,
  isAmbiguous,
  NotFoundError,
  OverLimitError,
  ResourceFailedError,
  ServiceUnreachableError,
  WaitTimeoutError,
  withReason,
} from '#lib/openstack/errors.ts';

const EXCHANGE = { method: 'POST', service: 'compute', path: '/v2.1/servers' };

function failed(
  status: number,
  body: unknown,
  options: { reason?: string; headers?: Record<string, string>; attempts?: number } = {},
): HttpError {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const { reason = 'Bad Request', headers = {}, attempts = 1 } = options;
  return httpError(EXCHANGE, { status, reason, headers, text }, attempts);
}

const octavia = {
  faultcode: 'Client',
  faultstring: 'Load Balancer b8cc is immutable and cannot be updated.',
  debuginfo: null,
};
const glance =
  '<html>\n <head>\n  <title>409 Conflict</title>\n </head>\n <body>\n  <h1>409 Conflict</h1>\n  Image 1 is ' +
  'in use:<br /><br />\nby a volume.\n\n\n </body>\n</html>';

describe('HttpError', () => {
  it.each([
    [
      'Nova',
      { badRequest: { code: 400, message: 'Invalid key_name provided.' } },
      'Invalid key_name provided.',
    ],
    [
      'itemNotFound',
      { itemNotFound: { code: 404, message: 'Instance x could not be found.' } },
      'Instance x could not be found.',
    ],
    [
      'forbidden',
      { forbidden: { code: 403, message: 'Quota exceeded for cores' } },
      'Quota exceeded for cores',
    ],
    [
      'overLimit',
      { overLimit: { code: 413, message: 'VolumeLimitExceeded', retryAfter: '0' } },
      'VolumeLimitExceeded',
    ],
    [
      'computeFault',
      { computeFault: { code: 500, message: 'Unexpected API Error.' } },
      'Unexpected API Error.',
    ],
    ['Keystone', { error: { code: 401, message: 'Unauthorized', title: 'X' } }, 'Unauthorized'],
    ['Neutron', { NeutronError: { type: 'IpAddressInUse', message: 'In use', detail: '' } }, 'In use'],
    ['an object of any name', { a: 1, b: { message: 'inner' }, message: 'outer' }, 'inner'],
    ['Octavia', octavia, 'Load Balancer b8cc is immutable and cannot be updated.'],
    ['faultstring before message', { message: 'm', faultstring: 'f' }, 'f'],
    ['a message at the top', { message: 'top', title: 't' }, 'top'],
    ['a title', { title: 'Title', description: 'd' }, 'Title'],
    [
      'a NeutronError that is a string',
      { NeutronError: 'Policy does not allow it' },
      'Policy does not allow it',
    ],
    ['a message that is no text', { a: { message: 7 }, message: [], title: 'Title' }, 'Title'],
    ['an empty message', { a: { message: ' ' }, title: 'Title' }, 'Title'],
    ["Glance's HTML", glance, '409 Conflict: Image 1 is in use: by a volume.'],
    ["a load balancer's HTML", '<html><head><title>502 Bad Gateway</title></head></html>', '502 Bad Gateway'],
    ['no text', '', 'Bad Request'],
    ['plain text', 'something', 'Bad Request'],
    ['an empty object', {}, 'Bad Request'],
    ['an array', [{ message: 'x' }], 'Bad Request'],
    ['white space', { message: ' a\n\n  b\tc ' }, 'a b c'],
  ])('finds the cause in %s', (_, body, expected) => {
    expect(failed(400, body).reason).toBe(expected);
  });

  it('has a cause even when nothing is said at all', () => {
    expect(failed(400, '', { reason: '' }).message).toBe(
      'OpenStack API POST compute /v2.1/servers failed with 400: no reason given.\nCheck task debug log for details.',
    );
  });

  it('cuts the cause at 1000 characters', () => {
    expect(failed(400, { message: 'x'.repeat(5000) }).reason).toBe('x'.repeat(1000));
  });

  it.each([
    [{ 'x-openstack-request-id': 'req-1', 'x-compute-request-id': 'req-2' }, {}, 'req-1'],
    [{ 'x-compute-request-id': 'req-2' }, { request_id: 'req-3' }, 'req-2'],
    [{}, { request_id: 'req-3' }, 'req-3'],
    [{}, { request_id: 5 }, undefined],
    [{}, {}, undefined],
  ] as const)('takes the request id from %j %j', (headers, body, expected) => {
    expect(failed(400, body, { headers }).requestId).toBe(expected);
  });

  it('tells method, service, path, status, cause and request id', () => {
    const error = failed(
      400,
      { badRequest: { message: 'Wrong' } },
      { headers: { 'x-openstack-request-id': 'req-1' } },
    );

    expect(error.message).toBe(
      'OpenStack API POST compute /v2.1/servers failed with 400 Bad Request: Wrong (request id req-1).\n' +
        'Check task debug log for details.',
    );
  });

  it('tells how often it was tried in vain', () => {
    expect(failed(503, '', { attempts: 4 }).message).toMatch(/for details\. \(gave up after 4 attempts\)$/);
  });

  it('has not given up when the last answer is one that nobody repeats', () => {
    expect(failed(404, '', { attempts: 2 }).message).not.toContain('gave up');
  });

  it('tells neither headers nor body nor details', () => {
    const error = failed(
      500,
      { computeFault: { message: 'm', details: 'Traceback' }, other: 'body' },
      {
        headers: { 'x-subject-token': 'token' },
      },
    );

    expect(error.message).not.toMatch(/Traceback|body|token/);
  });

  it.each([
    [400, BadRequestError],
    [403, ForbiddenError],
    [404, NotFoundError],
    [409, ConflictError],
    [413, OverLimitError],
    [500, HttpError],
  ])('is of the class of its status %i', (status, expected) => {
    expect(failed(status, '').constructor).toBe(expected);
  });

  it.each([
    [{ NeutronError: { type: 'IpAddressInUse', message: '' } }, 'IpAddressInUse'],
    [{ NeutronError: 'text' }, ''],
    [{}, ''],
    ['', ''],
  ])('knows the type of %j', (body, expected) => {
    expect(failed(409, body).errorType).toBe(expected);
  });
});

describe('withReason', () => {
  const error = failed(404, { message: 'No such thing' }, { headers: { 'x-openstack-request-id': 'req-1' } });

  it('appends what OpenStack said, with the request id', () => {
    expect(withReason("Disk `1' not found", error)).toBe(
      "Disk `1' not found: No such thing (request id req-1)",
    );
  });

  it('repeats nothing that the text has already', () => {
    expect(withReason('Oh. No such thing', error)).toBe('Oh. No such thing');
  });

  it.each([
    [new Error('x'), 'text: x'],
    ['x', 'text'],
  ])('takes %s', (other, expected) => {
    expect(withReason('text', other)).toBe(expected);
  });
});

describe('isAmbiguous', () => {
  const connection = (requestSent: boolean) =>
    new ServiceUnreachableError(
      'Compute',
      'http://nova',
      new ConnectionError(
        { method: 'POST', url: 'http://nova', requestSent, certificateRefused: false },
        'broken',
        undefined,
      ),
    );

  it.each([
    ['a broken connection', connection(true), true],
    ['no connection', connection(false), false],
    ['500', failed(500, ''), true],
    ['504', failed(504, ''), true],
    ['400', failed(400, ''), false],
    ['429', failed(429, ''), false],
    ['another error', new Error('x'), false],
  ])('knows %s', (_, error, expected) => {
    expect(isAmbiguous(error)).toBe(expected);
  });

  it('says which service could not be reached, and where', () => {
    expect(connection(false).message).toBe(
      'Unable to connect to the OpenStack Compute Service API http://nova: broken. Check task debug log for details.',
    );
  });
});

describe('errors of waits', () => {
  it.each([
    [new WaitTimeoutError('Server', '1', ['active']), "Timed out waiting for Server `1' to be active"],
    [
      new WaitTimeoutError('Server', '1', ['terminated', 'deleted']),
      "Timed out waiting for Server `1' to be terminated, deleted",
    ],
    [
      new WaitTimeoutError('Image', '1', ['active'], '; hint'),
      "Timed out waiting for Image `1' to be active; hint",
    ],
    [
      new ResourceFailedError('Volume', '1', 'error_extending', ['available']),
      "Volume `1' state is error_extending, expected available",
    ],
    [
      new ResourceFailedError('Server', '1', 'error', ['active'], 'No valid host'),
      "Server `1' state is error, expected active\nNo valid host",
    ],
    [
      new ResourceFailedError('LoadBalancer', '1', undefined, ['active']),
      "LoadBalancer `1': Resource not found",
    ],
  ])('read as operators know them: %s', (error, expected) => {
    expect(error.message).toBe(expected);
  });
});
