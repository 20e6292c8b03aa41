import { describe, expect, it } from 'vitest';
import type { CpiMethod } from '#lib/cpi/methods.ts';
import { requestLog } from '#lib/middleware/request-log.ts';
import { callContext } from '../support/call-context.ts';

function logged(method: CpiMethod, args: unknown[], context: Record<string, unknown> = {}): string[] {
  const { context: cpi, lines } = callContext({ request: { method, arguments: args, context } });
  requestLog(method).before?.({ event: {}, context: { cpi }, response: undefined, error: undefined });
  return lines;
}

describe('requestLog', () => {
  it('tells method and arguments in one line', () => {
    expect(logged('attach_disk', ['vm', 'disk'])).toEqual([
      'INFO method attach_disk arguments: ["vm","disk"]',
    ]);
  });

  it("tells of create_vm's env only what names the VM", () => {
    const env = {
      bosh: {
        group: 'g',
        groups: ['a', 'b'],
        tags: { team: 'x' },
        password: 'hunter1',
        blobstores: ['hunter2'],
      },
      ca: 'hunter3',
      note: 'hunter4',
    };

    const [line = ''] = logged('create_vm', [
      'agent',
      'image',
      { instance_type: 'f' },
      { n: { ip: '10.0.0.5' } },
      [],
      env,
    ]);

    expect(line).toBe(
      'INFO method create_vm arguments: ["agent","image",{"instance_type":"f"},{"n":{"ip":"10.0.0.5"}},[],' +
        '{"group":"g","groups":["a","b"],"tags":{"team":"x"}}]',
    );
  });

  it.each([null, undefined, 'hunter1', ['hunter1'], { bosh: 'hunter1' }, { bosh: ['hunter1'] }])(
    'tells nothing of the env %j',
    (env) => {
      const [line = ''] = logged('create_vm', ['agent', 'image', {}, {}, null, env]);

      expect(line).not.toContain('hunter');
      expect(line.endsWith(',{}]')).toBe(true);
    },
  );

  it('tells nothing of the context, nor of values whose names are those of secrets', () => {
    const [line = ''] = logged(
      'set_vm_metadata',
      ['vm', { job: 'j', api_key: 'hunter1', nested: { token: 'hunter2' } }],
      {
        api_key: 'hunter3',
        note: 'hunter4',
      },
    );

    expect(line).toBe(
      'INFO method set_vm_metadata arguments: ["vm",{"job":"j","api_key":"<redacted>","nested":{"token":"<redacted>"}}]',
    );
  });
});
