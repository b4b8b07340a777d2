import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // The native Temporal core crashes in worker threads; forks are required (docs/decisions).
    pool: 'forks',
    maxWorkers: 2,
    globalSetup: ['test/support/global-setup.ts'],
    include: ['{src,workflows,activities,emulators,test}/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
