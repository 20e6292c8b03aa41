import { defineConfig } from 'vitest/config';

/** Against a real OpenStack, whose one project all tests share: one file after the other. */
export default defineConfig({
  test: {
    include: ['test/openstack/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
