// Records the histories of this release, by `npx vitest run --config test/replay/recording-config.ts`.
// Run it once for a release, before its tag; histories of a release that is out are never recorded again.
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { runScenarios, SCENARIOS } from './scenarios.js';

const directory = fileURLToPath(new URL(`histories/${packageJson.version}/`, import.meta.url));

it('records a history of every scenario', { timeout: 300_000 }, async () => {
  await mkdir(directory, { recursive: true });
  const recorded: string[] = [];
  await runScenarios(async (name, run) => {
    const history = scrub(JSON.parse(historyToJSON(await run.fetchHistory())));
    await writeFile(`${directory}${name}.json`, `${JSON.stringify(history, null, 1)}\n`);
    recorded.push(name);
  });
  expect(recorded).toEqual(Object.keys(SCENARIOS));
});

/** Which machine and process it was, and where its files lay, is nobody's business. */
const CONSTANT: Readonly<Record<string, string>> = { identity: 'recorder', stackTrace: '', workerInstanceKey: '' };

function scrub(value: unknown): unknown {
  // A sticky queue is named after the worker's process.
  if (typeof value === 'string') return value.replace(/^\d+@.*$/, 'recorder');
  if (Array.isArray(value)) return value.map(scrub);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, CONSTANT[name] ?? scrub(inner)]));
}
