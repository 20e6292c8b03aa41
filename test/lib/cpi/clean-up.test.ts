import { describe, expect, it } from 'vitest';
import { cleanUpAndThrow, type Made, removeAll } from '#lib/cpi/clean-up.ts';
import { CloudError, CpiError, VMCreationFailed } from '#lib/cpi/errors.ts';
import { boshError, defect, failure, success } from '#lib/cpi/response.ts';
import { Lap } from '#lib/lap/lap.ts';
import { Logger } from '#lib/log/logger.ts';
import { Redactor } from '#lib/log/redactor.ts';
import {
  EndpointNotFoundError,
  OpenStackError,
  RegionRequiredError,
  WaitTimeoutError,
} from '#lib/openstack/errors.ts';
import { keepOne } from '#lib/openstack/keep-one.ts';
import { RegistryError } from '#lib/registry/client.ts';

function logged() {
  const lines: string[] = [];
  return { lines, log: new Logger((line) => lines.push(line.replace(/^\S+ /, ''))) };
}

/** Things that can be removed, or cannot, and the order in which that was tried. */
function things(...stages: string[][]): { stages: Made[][]; removed: string[] } {
  const removed: string[] = [];
  const made = (id: string): Made => ({
    id,
    remove: async () => {
      removed.push(id);
      if (id.startsWith('stuck')) {
        throw new OpenStackError(`no way to remove ${id}`);
      }
    },
  });
  return { stages: stages.map((stage) => stage.map(made)), removed };
}

function within() {
  return { log: logged().log, lap: new Lap() };
}

describe('removeAll', () => {
  it('removes everything, stage after stage, whatever fails', async () => {
    const { stages, removed } = things(['member'], ['stuck server'], ['port 1', 'stuck port', 'port 2']);
    const { log, lines } = logged();

    const remaining = await removeAll(stages, { log, lap: new Lap() });

    expect(remaining).toEqual(['stuck server', 'stuck port']);
    expect(removed).toEqual(['member', 'stuck server', 'port 1', 'stuck port', 'port 2']);
    expect(lines.filter((line) => line.startsWith('WARN'))).toEqual([
      'WARN clean-up of stuck server failed: no way to remove stuck server',
      'WARN clean-up of stuck port failed: no way to remove stuck port',
    ]);
  });

  it('begins a stage when the one before is done', async () => {
    const order: string[] = [];
    const slow: Made = {
      id: 'slow',
      remove: async () => {
        await new Promise(setImmediate);
        order.push('slow');
      },
    };
    const next: Made = { id: 'next', remove: async () => void order.push('next') };

    await removeAll([[slow], [next]], within());

    expect(order).toEqual(['slow', 'next']);
  });
});

describe('cleanUpAndThrow', () => {
  it('throws the error as it came when nothing remains', async () => {
    const error = new VMCreationFailed('No valid host', { okToRetry: true });

    await expect(cleanUpAndThrow(error, things(['server']).stages, within())).rejects.toBe(error);
    expect(error.message).toBe('No valid host');
  });

  it('names what remains', async () => {
    const error = new VMCreationFailed('No valid host', { okToRetry: true });

    const thrown = cleanUpAndThrow(error, things(['stuck 1'], ['stuck 2']).stages, within());

    await expect(thrown).rejects.toMatchObject({
      message: 'No valid host (cleanup incomplete: stuck 1, stuck 2)',
      okToRetry: true,
    });
  });

  it('lets a defect be one', async () => {
    const bug = new TypeError('x is not a function');

    await expect(cleanUpAndThrow(bug, [], within())).rejects.toBe(bug);
  });
});

describe('boshError', () => {
  it.each([
    [new OpenStackError('a'), CloudError],
    [new WaitTimeoutError('Server', '1', ['active']), CloudError],
    [new EndpointNotFoundError('a'), CloudError],
    [new RegionRequiredError('a'), CpiError],
    [new RegistryError('a'), CloudError],
  ])('of %o has its message and cause', (error, expected) => {
    const bosh = boshError(error);

    expect(bosh).toBeInstanceOf(expected);
    expect(bosh).toMatchObject({ message: error.message, cause: error, okToRetry: false });
  });

  it.each([new CpiError('a'), new VMCreationFailed('a', { okToRetry: true })])('of %o is itself', (error) => {
    expect(boshError(error)).toBe(error);
  });

  it.each([new TypeError('a'), 'a', undefined, null])('of %o is nothing', (error) => {
    expect(boshError(error)).toBeUndefined();
  });
});

describe('responses', () => {
  it.each([
    [undefined, null],
    [null, null],
    [false, false],
    ['', ''],
    [[], []],
  ])('with result %j', (given, result) => {
    expect(success(given)).toEqual({ result, error: null, log: '' });
  });

  it('tell an error without its secrets', () => {
    const error = new VMCreationFailed('hunter2 refused', { okToRetry: true });

    expect(failure(error, new Redactor(['hunter2']), 'line\n')).toEqual({
      result: null,
      error: { type: 'Bosh::Clouds::VMCreationFailed', message: '<redacted> refused', ok_to_retry: true },
      log: 'line\n',
    });
  });

  it.each([
    [new TypeError('x is not a function'), 'TypeError: x is not a function'],
    ['text', 'text'],
  ])('call a defect one: %s', (error, text) => {
    expect(defect(error)).toMatchObject({
      type: 'Bosh::Clouds::CpiError',
      message: `Internal error of the OpenStack CPI, please report it: ${text}`,
      okToRetry: false,
    });
  });
});

describe('keepOne', () => {
  const at = (id: string, createdAt: string, isBroken = false) => ({ id, createdAt, isBroken });

  it.each([
    ['nothing', [], undefined, []],
    ['the only one', [at('a', '1')], 'a', []],
    ['the only one, broken or not', [at('a', '1', true)], 'a', []],
    ['the oldest', [at('b', '2'), at('a', '1'), at('c', '3')], 'a', ['b', 'c']],
    ['the oldest that works', [at('a', '1', true), at('c', '3'), at('b', '2')], 'b', ['a', 'c']],
    ['the oldest where none works', [at('b', '2', true), at('a', '1', true)], 'a', ['b']],
  ])('keeps %s, and removes the others', async (_, candidates, expected, others) => {
    const removed: string[] = [];

    const kept = await keepOne(candidates, {
      works: ({ isBroken }) => !isBroken,
      createdAt: ({ createdAt }) => createdAt,
      remove: async ({ id }) => void removed.push(id),
    });

    expect(kept?.id).toBe(expected);
    expect(removed.sort()).toEqual(others);
  });
});
