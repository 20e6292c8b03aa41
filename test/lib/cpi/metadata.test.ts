import { describe, expect, it } from 'vitest';
import { formatMetadata, formatServerMetadata } from '#lib/cpi/metadata.ts';
import { Logger } from '#lib/log/logger.ts';

describe('formatMetadata', () => {
  it.each([
    [{ a: 'b' }, { a: 'b' }],
    [{ a: '' }, { a: '' }],
    [{ a: null, b: undefined, '': 'c' }, {}],
    [
      { a: 1, b: 1.5, c: 0, d: true, e: false },
      { a: '1', b: '1.5', c: '0', d: 'true', e: 'false' },
    ],
    [
      { a: { b: [1] }, c: [], d: {} },
      { a: '{"b":[1]}', c: '[]', d: '{}' },
    ],
    [
      { 'a/b': 'c/d', 'ä€': 'ö', 'a@b#c': '' },
      { a_b: 'c/d', __: 'ö', a_b_c: '' },
    ],
    [{ 'A-z_0:9. x': 'kept' }, { 'A-z_0:9. x': 'kept' }],
    [{ ['k'.repeat(300)]: 'v'.repeat(300) }, { ['k'.repeat(255)]: 'v'.repeat(255) }],
    [{ a: 'x'.repeat(255) }, { a: 'x'.repeat(255) }],
  ])('formats %j', (input, expected) => {
    expect(formatMetadata(input)).toEqual(expected);
  });

  it('never cuts a character in two', () => {
    const { a = '' } = formatMetadata({ a: '😀'.repeat(300) });

    expect(a.isWellFormed()).toBe(true);
    expect([...a].length).toBeLessThanOrEqual(255);
  });
});

describe('formatServerMetadata', () => {
  it("leaves the CPI's own keys out, with a warning", () => {
    const lines: string[] = [];
    const input = {
      registry_key: 'vm-1',
      bosh_cpi_invocation: 'i',
      lbaas_pool_1: 'p/m',
      lbaas_pool_x: 'p/m',
      registry_keys: 'kept',
      lbaas_pools: 'kept',
    };

    const formatted = formatServerMetadata(input, new Logger((line) => lines.push(line)));

    expect(formatted).toEqual({ registry_keys: 'kept', lbaas_pools: 'kept' });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(
      'WARN metadata registry_key, bosh_cpi_invocation, lbaas_pool_1, lbaas_pool_x not set: the CPI keeps these itself',
    );
  });

  it('says nothing when there are none', () => {
    const lines: string[] = [];

    formatServerMetadata({ deployment: 'd' }, new Logger((line) => lines.push(line)));

    expect(lines).toEqual([]);
  });
});
