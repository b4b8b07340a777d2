import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { REPOSITORY_ROOT } from './support/imports.js';

describe('.ci/run', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tunesmith-ci-'));
    for (const folder of ['.ci', 'scripts', 'bin']) await mkdir(join(directory, folder));
    await copyFile(join(REPOSITORY_ROOT, '.ci/run'), join(directory, '.ci/run'));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  /** Runs it with an `npm` that does as it is told, and gives the exit code, the last line, and what was called. */
  const runWith = async (step: { readonly failing?: string; readonly result?: object }) => {
    const npm = `#!/usr/bin/env bash
echo "$*" >> "${directory}/calls"
if read -r _; then echo 'there is something to read' >> "${directory}/calls"; fi
for argument in "$@"; do
  case "$argument" in --outputFile.json=*) [ ! -f "${directory}/result" ] || cp "${directory}/result" "\${argument#*=}" ;; esac
done
case "$*" in *'${step.failing ?? 'nothing'}'*) exit 7 ;; esac
`;
    await writeFile(join(directory, 'bin', 'npm'), npm, { mode: 0o755 });
    await writeFile(join(directory, 'scripts', 'prepare.mjs'), step.failing === 'build' ? 'process.exit(7);' : '');
    if (step.result !== undefined) await writeFile(join(directory, 'result'), JSON.stringify(step.result));
    const { status, stdout } = spawnSync(join(directory, '.ci/run'), {
      env: { PATH: `${join(directory, 'bin')}:${dirname(process.execPath)}:/usr/bin:/bin` },
      encoding: 'utf8',
      input: 'nobody reads this\n',
    });
    const calls = readFileSync(join(directory, 'calls'), 'utf8').trim().split('\n');
    return { status, lastLine: stdout.trimEnd().split('\n').at(-1), calls };
  };
  const tests = (numPassedTests: number, numFailedTests = 0, numPendingTests = 0) => ({
    ...{ numPassedTests, numFailedTests, numPendingTests, numTodoTests: 0 },
    testResults: [],
  });

  test('installs, checks, builds and tests, in that order and with nothing to read', async () => {
    const { status, lastLine, calls } = await runWith({ result: tests(12, 0, 1) });
    expect({ status, lastLine }).toEqual({ status: 0, lastLine: '12 passed, 0 failed, 1 skipped' });
    expect(calls.map((call) => call.replace(/ --.*/, ''))).toEqual(['ci', 'run', 'run', 'test']);
    expect(calls[1]).toContain('typecheck');
    expect(calls[2]).toContain('lint');
  });

  test('fails when a test failed, and says how many', async () => {
    const { status, lastLine } = await runWith({ failing: 'test --', result: tests(11, 1) });
    expect({ status, lastLine }).toEqual({ status: 1, lastLine: '11 passed, 1 failed, 0 skipped' });
  });

  test('counts a file that could not be run as one that failed', async () => {
    const broken = { ...tests(11), testResults: [{ status: 'failed', assertionResults: [] }] };
    const { status, lastLine } = await runWith({ failing: 'test --', result: broken });
    expect({ status, lastLine }).toEqual({ status: 1, lastLine: '11 passed, 1 failed, 0 skipped' });
  });

  test('fails when no test ran', async () => {
    const { status, lastLine } = await runWith({ result: tests(0) });
    expect({ status, lastLine }).toEqual({ status: 1, lastLine: '0 passed, 0 failed, 0 skipped' });
  });

  test.each(['typecheck', 'lint'])('fails when %s fails, and runs the tests all the same', async (failing) => {
    const { status, lastLine } = await runWith({ failing, result: tests(12) });
    expect({ status, lastLine }).toEqual({ status: 1, lastLine: '12 passed, 0 failed, 0 skipped' });
  });

  test.each(['ci', 'build'])('ends with its line when %s fails', async (failing) => {
    const { status, lastLine, calls } = await runWith({ failing: failing === 'ci' ? 'ci --' : failing });
    expect({ status, lastLine }).toEqual({ status: 1, lastLine: '0 passed, 0 failed, 0 skipped' });
    expect(calls.filter((call) => call.startsWith('test'))).toEqual([]);
  });
});
