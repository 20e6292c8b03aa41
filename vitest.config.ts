import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/openstack/**'],
    pool: 'threads',
    testTimeout: 20_000,
  },
});
