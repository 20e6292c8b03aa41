import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/openstack/**', 'test/deployed/**', 'test/package/**'],
    pool: 'threads',
    // Vitest leaves one processor to itself, although it has little to do.
    maxWorkers: '100%',
    // Some tests start hundreds of processes, perhaps on a machine that has other work as well.
    testTimeout: 60_000,
  },
});
