import { describe, expect, it } from 'vitest';
import { lightKeyOf, sourceOf } from '#lib/stemcell/image-source.ts';

describe('lightKeyOf', () => {
  it.each([
    ['a.tgz', '', 'light/light-a.tgz'],
    ['bosh/a.tgz', 'bosh/', 'bosh/light/light-a.tgz'],
    ['bosh/jammy/a.tgz', 'bosh/', 'bosh/light/jammy/light-a.tgz'],
    ['jammy/a.tgz', '', 'light/jammy/light-a.tgz'],
    ['noble/a.tgz', '', 'light/noble/light-a.tgz'],
  ])('gives each object a light stemcell of its own: %s with the prefix "%s"', (key, prefix, expected) => {
    expect(lightKeyOf(key, prefix)).toBe(expected);
  });
});

describe('sourceOf', () => {
  it.each([
    ['S3://bucket/a.tgz', 's3://bucket/a.tgz'],
    ['https://user:secret@host/a.tgz?sig=secret', 'https://host/a.tgz'],
    ['/home/somebody/a.tgz', 'file:a.tgz'],
  ])('tells of %s neither folders nor secrets', (location, expected) => {
    expect(sourceOf(location)).toBe(expected);
  });
});
