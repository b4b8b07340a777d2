import { defineConfig } from 'vitest/config';

const POSTGRES = 'test/support/global-setup.ts';

export default defineConfig({
  test: {
    // The native Temporal core crashes in worker threads; forks are required (docs/decisions).
    pool: 'forks',
    // Of files that start whole systems, two at once are the most that a small machine bears.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{src,workflows,activities,emulators,test}/**/*.test.ts'],
          exclude: ['test/{acceptance,integration}/**'],
          globalSetup: [POSTGRES],
        },
      },
      {
        extends: true,
        test: {
          name: 'acceptance',
          include: ['test/acceptance/**/*.test.ts'],
          globalSetup: ['test/support/shared-system.ts'],
          testTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: { name: 'integration', include: ['test/integration/**/*.test.ts'], testTimeout: 180_000 },
      },
    ],
  },
});
