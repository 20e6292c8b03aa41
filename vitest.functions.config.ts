import { defineConfig } from 'vitest/config';

/** The acceptance tests through deployed functions: on the embedded OpenStack, or with `--mode openstack` on a real one. */
export default defineConfig(({ mode }) => ({
  test: {
    include: [
      mode === 'openstack' ? 'test/deployed/openstack.test.ts' : 'test/deployed/{lambda,http}.test.ts',
    ],
    pool: 'threads',
    maxWorkers: '100%',
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
}));
