import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROGRAM } from '../support/running-process.js';
import { until } from '../support/until.js';

const ROW = '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}\n';
const GOOD = ROW.repeat(10);

let directory: string;
let file: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tunesmith-preflight-'));
  file = join(directory, 'train.jsonl');
  await writeFile(file, GOOD);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** `tunesmith preflight` with no variable but PATH, in a directory without anything of ours. */
function start(...options: readonly string[]) {
  const child = spawn(process.execPath, [PROGRAM, 'preflight', ...options], {
    cwd: directory,
    env: { PATH: process.env['PATH'] },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // It may end before it has read all.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  return { child, ended };
}

async function run(options: readonly string[], input = '') {
  const { child, ended } = start(...options);
  child.stdin.end(input);
  const [stdout, stderr, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { stdout, stderr, ...end };
}

describe('the command `tunesmith preflight`', () => {
  test('needs no configuration, and its exit code says whether there is an error', async () => {
    expect(await run([file])).toMatchObject({ code: 0, stderr: '' });
    expect(await run([file, '--role', 'validation', '--max-rows', '9'])).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('[too_many_rows]'),
      stderr: '',
    });
  });

  test('reads standard input, and with --json writes JSON alone', async () => {
    const { code, stdout, stderr } = await run(['-', '--json', '--method', 'supervised', '--epochs', '3'], GOOD);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ object: 'preflight', valid: true, tokens: { n_epochs: 3 } });
  });

  test.each([
    [['missing.jsonl', '--json'], /^tunesmith: cannot read "missing\.jsonl": there is no such file; check the path\n$/],
    [['.'], /^tunesmith: cannot read "\.": it is a directory; name a file in it\n$/],
    [['train.jsonl', '--epochs', '0'], /--epochs.*a whole number above 0/],
    [['train.jsonl', '--method', 'ppo'], /--method.*Allowed choices are supervised, dpo, reinforcement/],
    [[], /missing required argument 'file'/],
  ])('%j ends with 1 and says why on standard error alone', async (options, message) => {
    const { code, stdout, stderr } = await run(options);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('ends without a stack where nobody reads its report', async () => {
    const { child, ended } = start('-');
    child.stdout.destroy();
    child.stdin.end(GOOD);
    expect(await text(child.stderr)).toBe('');
    expect(await ended).toEqual({ code: 0, signal: null });
  });

  test('ends at once when it is interrupted, also while it waits for more', async () => {
    const { child, ended } = start('-');
    // More than a pipe holds: it is gone once the command has read most of it.
    child.stdin.write(ROW.repeat(20_000));
    await until('the rows are read', () => child.stdin.writableLength === 0);
    child.kill('SIGINT');
    // A shell says 130 of it.
    expect(await ended).toEqual({ code: null, signal: 'SIGINT' });
    expect(await text(child.stdout)).toBe('');
  });
});
