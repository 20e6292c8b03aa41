import { defineConfig } from 'vitest/config';

/** Tests against a real OpenStack: one file after the other, since they share it. */
export default defineConfig({
  test: {
    include: ['test/openstack/*.test.ts'],
    pool: 'threads',
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
