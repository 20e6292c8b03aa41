import { defineConfig } from 'vitest/config';

/** They start and kill processes, which threads do not survive. */
const WITH_PROCESSES = 'test/kill/**';

export default defineConfig({
  test: {
    // Vitest leaves one processor to itself, although it has little to do.
    maxWorkers: '100%',
    projects: [
      {
        extends: true,
        test: {
          name: 'threads',
          include: ['test/**/*.test.ts'],
          exclude: [
            'test/openstack/**',
            'test/deployed/**',
            'test/package/**',
            'test/release/**',
            WITH_PROCESSES,
          ],
          pool: 'threads',
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: [`${WITH_PROCESSES}/*.test.ts`],
          pool: 'forks',
          // Of tests that wait far more than they work.
          maxConcurrency: 20,
        },
      },
    ],
    // Some tests start hundreds of processes, perhaps on a machine that has other work as well.
    testTimeout: 60_000,
    expect: { poll: { timeout: 30_000 } },
  },
});
