// Runs before `npm test`, after scripts/prepare.mjs: the tests' Temporal server is found, fetched or built here, where it
// can be seen, and not within the time-out of a test. Prints the path of the program.
import { findTemporal } from '../dist/src/temporal/finder.js';

const QUIET_MS = 10_000;
let toldAtMs = 0;

try {
  const { path, source } = await findTemporal({
    environment: process.env,
    log: (message) => console.error(`tunesmith: ${message}`),
    onProgress(text) {
      if (Date.now() - toldAtMs < QUIET_MS) return;
      toldAtMs = Date.now();
      console.error(`tunesmith: ${text}`);
    },
  });
  console.error(`tunesmith: Temporal for the tests is from ${source}: ${path}`);
} catch (error) {
  console.error(`tunesmith: ${error.message}`);
  process.exit(1);
}
