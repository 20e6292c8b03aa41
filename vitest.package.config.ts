import { defineConfig } from 'vitest/config';

/** Tests of what `serverless package` has made. */
export default defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    pool: 'threads',
    maxWorkers: '100%',
    testTimeout: 60_000,
  },
});
