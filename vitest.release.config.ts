import { defineConfig } from 'vitest/config';

/** Tests of the BOSH release: they make it, install it as BOSH does, and render its templates with Ruby. */
export default defineConfig({
  test: {
    include: ['test/release/**/*.test.ts'],
    pool: 'threads',
    maxWorkers: '100%',
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
