import { defineConfig } from 'vitest/config';

/** Not part of the tests: `record.ts` writes what `replay.test.ts` reads. */
export default defineConfig({
  test: {
    pool: 'forks',
    include: ['test/replay/record.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    hookTimeout: 120_000,
  },
});
