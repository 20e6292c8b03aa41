import { describe, expect, it } from 'vitest';
import { stemcellSettings } from '#lib/config/stemcells.ts';
import { stemcellBucket } from '#lib/stemcell/bucket.ts';

const settings = (bucket?: string) => stemcellSettings(bucket === undefined ? {} : { bucket }, {});

describe('the bucket of stemcells', () => {
  it.each([true, false])('is the configured one (in process: %j)', (isInProcess) => {
    expect(stemcellBucket(settings('ours'), undefined, isInProcess)).toBe('ours');
    expect(stemcellBucket(settings('ours'), 'ours', isInProcess)).toBe('ours');
  });

  it('is any in the process of who asks', () => {
    expect(stemcellBucket(settings('ours'), 'another', true)).toBe('another');
    expect(stemcellBucket(settings(), 'another', true)).toBe('another');
  });

  it('is no other for a deployed function', () => {
    expect(() => stemcellBucket(settings('ours'), 'another', false)).toThrow(
      "Bucket 'another' must be the function's own: it uses no other than its stemcells.bucket",
    );
  });

  it.each([
    [undefined, true],
    [undefined, false],
    ['another', false],
  ])('must be configured where %j is asked for (in process: %j)', (asked, isInProcess) => {
    expect(() => stemcellBucket(settings(), asked, isInProcess)).toThrow('stemcells.bucket must be set');
  });
});
