import { describe, expect, it } from 'vitest';
import { interpolated, operated } from './operations.ts';

const MANIFEST = {
  name: 'bosh',
  releases: [{ name: 'a', version: 1 }, { name: 'b' }],
  twins: [{ name: 'a' }, { name: 'a' }],
};

describe('operations', () => {
  it.each<[path: string, value: unknown, changed: object]>([
    ['/name', 'other', { name: 'other' }],
    ['/new?', 1, { new: 1 }],
    ['/new?/inner/list/-', 1, { new: { inner: { list: [1] } } }],
    ['/new?/name=c/version', 1, { new: [{ name: 'c', version: 1 }] }],
    ['/releases/-', 1, { releases: [...MANIFEST.releases, 1] }],
    ['/releases/0', 1, { releases: [1, { name: 'b' }] }],
    ['/releases/name=b', 1, { releases: [{ name: 'a', version: 1 }, 1] }],
    ['/releases/name=a/version', 2, { releases: [{ name: 'a', version: 2 }, { name: 'b' }] }],
    ['/releases/name=c?/version', 2, { releases: [...MANIFEST.releases, { name: 'c', version: 2 }] }],
  ])('replace %s', (path, value, changed) => {
    const result = operated(MANIFEST, [{ type: 'replace', path, value }]);

    expect(result).toEqual({ ...MANIFEST, ...changed });
  });

  it.each<[path: string, changed: object]>([
    ['/name', { name: undefined }],
    ['/releases/name=a', { releases: [{ name: 'b' }] }],
    ['/releases/1', { releases: [{ name: 'a', version: 1 }] }],
    ['/releases/name=a/version', { releases: [{ name: 'a' }, { name: 'b' }] }],
    ['/new?', {}],
    ['/new?/inner', {}],
    ['/releases/name=c?', {}],
  ])('remove %s', (path, changed) => {
    const result = operated(MANIFEST, [{ type: 'remove', path }]);

    expect(result).toEqual({ ...MANIFEST, ...changed });
  });

  it.each([
    ['/new', "Expected to find a map key 'new' for path '/new' (found map keys: name, releases, twins)"],
    ['/name/inner', "Expected to find a map at path '/name/inner'"],
    ['/name/-', "Expected to find an array at path '/name/-'"],
    ['/releases/2', "Expected to find array index '2' but found array of length '2'"],
    ['/releases/name=c', "exactly one matching array item for path '/releases/name=c' but found 0"],
    ['/twins/name=a', "exactly one matching array item for path '/twins/name=a' but found 2"],
  ])('refuse %s, which is not there', (path, message) => {
    const operations = ['replace', 'remove'].map((type) => [{ type, path, value: 1 }]);

    for (const operation of operations) {
      expect(() => operated(MANIFEST, operation)).toThrow(message);
    }
  });
});

describe('variables', () => {
  it('are replaced by values of any kind, and within texts', () => {
    const result = interpolated(
      { groups: '((groups))', url: 'nats://((ip)):4222' },
      { groups: ['a'], ip: '1.2.3.4' },
    );

    expect(result).toEqual({ groups: ['a'], url: 'nats://1.2.3.4:4222' });
  });

  it('need values', () => {
    expect(() => interpolated(['((one))', '((two))'], { one: 1 })).toThrow('Expected to find variables: two');
  });
});
