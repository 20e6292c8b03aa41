import { defineConfig } from 'vitest/config';

/**
 * Tests against a real OpenStack: one file after the other, since they share it. What fails is tried once more, and marked so in
 * the report: the cloud's own services share two cores with the tests and miss a deadline now and then.
 */
export default defineConfig({
  test: {
    include: ['test/openstack/*.test.ts'],
    pool: 'threads',
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    retry: 1,
  },
});
