import { defineConfig } from 'vitest/config';

/** By `--mode`. */
const FILES: Record<string, string> = {
  openstack: 'test/deployed/openstack.test.ts',
  'openstack-in-short': 'test/deployed/openstack-in-short.test.ts',
};

/** The acceptance tests through deployed functions: on the embedded OpenStack, unless the mode names a real one. */
export default defineConfig(({ mode }) => ({
  test: {
    include: [FILES[mode] ?? 'test/deployed/{lambda,http}.test.ts'],
    pool: 'threads',
    maxWorkers: '100%',
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
}));
