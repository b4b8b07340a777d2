import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runPreflight, type PreflightCommandOptions } from './preflight.js';

const ROW = '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}';
const GOOD = Array.from({ length: 10 }, (_, index) => `${ROW.replace('hi', `hi ${index}`)}\n`).join('');
const BAD = GOOD.replace('"role":"assistant"', '"role":"assistent"');

let directory: string;
let good: string;
let bad: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tunesmith-preflight-'));
  good = join(directory, 'good.jsonl');
  bad = join(directory, 'bad.jsonl');
  await writeFile(good, GOOD);
  await writeFile(bad, BAD);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Keeps what is written. */
function createSink(): Writable & { text(): string } {
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return Object.assign(sink, { text: () => Buffer.concat(chunks).toString() });
}

async function run(path: string, options: Partial<PreflightCommandOptions> = {}, stdin: Readable = Readable.from([])) {
  const [stdout, stderr] = [createSink(), createSink()];
  const code = await runPreflight(
    path,
    { method: 'supervised', role: 'training', ...options },
    { stdin, stdout, stderr },
  );
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

describe('tunesmith preflight', () => {
  test('answers 0 for a file without errors', async () => {
    const { code, stdout, stderr } = await run(good);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^file {9}.*good\.jsonl \(\d+ bytes\)\nformat {7}chat; supervised method, training file\n/);
    expect(stdout).toMatch(/\nok: .*good\.jsonl has no error in 10 rows\n$/);
    expect(stderr).toBe('');
  });

  test('answers 1 for a file with an error, and shows its line', async () => {
    const { code, stdout, stderr } = await run(bad);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /bad\.jsonl:1:\d+: messages\[1\]\.role must be .*\[unknown_role\]\n {4}.*"assistent".*\n +\^\n/,
    );
    expect(stdout).toMatch(/\nnot ok: .*bad\.jsonl has \d+ errors? in 10 rows\n$/);
    expect(stderr).toBe('');
  });

  test('reads standard input in pieces, wherever they are cut', async () => {
    const bytes = Buffer.from(BAD.replace('hello', 'zażółć'));
    for (const size of [1, 7, 1_000]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      const { code, stdout } = await run('-', {}, Readable.from(pieces));
      expect(code).toBe(1);
      expect(stdout).toContain('standard input:1:');
    }
    expect(await run('-', {}, Readable.from([Buffer.from(GOOD)]))).toMatchObject({ code: 0 });
  });

  test('with --json prints the report alone', async () => {
    const { code, stdout, stderr } = await run(bad, { json: true, epochs: 2 });
    expect(code).toBe(1);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      object: 'preflight',
      file: bad,
      valid: false,
      method: 'supervised',
      row_count: 10,
      tokens: { method: 'estimated', n_epochs: 2 },
      errors: expect.arrayContaining([expect.objectContaining({ check: 'unknown_role', line: 1 })]),
    });
    expect(JSON.parse((await run(good, { json: true })).stdout)).toMatchObject({ valid: true, errors: [] });
  });

  test('passes its options on', async () => {
    expect((await run(good, { minimumRows: 11 })).stdout).toContain('[too_few_rows]');
    expect((await run(good, { maxRows: 5 })).stdout).toContain('[too_many_rows]');
    expect((await run(good, { maxRowBytes: 20 })).stdout).toContain('[line_too_long]');
    expect((await run(good, { method: 'dpo' })).stdout).toContain('format       preference; dpo method');
    const one = join(directory, 'one.jsonl');
    await writeFile(one, ROW);
    expect((await run(one)).code).toBe(1);
    expect((await run(one, { role: 'validation' })).code).toBe(0);
  });

  test('is in colour where the terminal has them', async () => {
    const stdout = Object.assign(createSink(), { hasColors: () => true });
    await runPreflight(
      bad,
      { method: 'supervised', role: 'training' },
      { stdin: Readable.from([]), stdout, stderr: createSink() },
    );
    expect(stdout.text()).toContain('\u001b[');
  });

  test.each([
    ['missing.jsonl', 'there is no such file; check the path'],
    ['good.jsonl/x', 'a part of the path is not a directory; check the path'],
    ['folder', 'it is a directory; name a file in it'],
    ['a\nb.jsonl', 'there is no such file; check the path'],
  ])('says of %j in one line what is wrong', async (name, reason) => {
    await mkdir(join(directory, 'folder'), { recursive: true });
    const path = join(directory, name);
    await expect(run(path)).rejects.toThrow(`cannot read ${JSON.stringify(path)}: ${reason}`);
    await expect(run(path, { json: true })).rejects.toThrow(/^[^\n]*$/);
  });

  test('says what is wrong with standard input that breaks', async () => {
    const stdin = new PassThrough();
    const attempt = run('-', {}, stdin);
    stdin.write(ROW);
    stdin.destroy(new Error('the other side has gone'));
    await expect(attempt).rejects.toThrow('cannot read "standard input": the other side has gone');
  });

  test.each(['EACCES', 'EPERM'])('says that a file may not be read (%s)', async (code) => {
    const stdin = new PassThrough();
    stdin.destroy(Object.assign(new Error(code), { code }));
    await expect(run('-', {}, stdin)).rejects.toThrow('this user may not read it; change its permissions');
  });

  test('ends quietly where the reader of the report has gone, and says when it cannot be written', async () => {
    const failing = (code: string): Writable =>
      new Writable({
        write: (_chunk, _encoding, done) => done(Object.assign(new Error(`write ${code}`), { code })),
      });
    const runTo = (stdout: Writable) =>
      runPreflight(
        good,
        { method: 'supervised', role: 'training' },
        { stdin: Readable.from([]), stdout, stderr: createSink() },
      );
    expect(await runTo(failing('EPIPE'))).toBe(0);
    await expect(runTo(failing('ENOSPC'))).rejects.toThrow('cannot write the report: write ENOSPC');
  });

  test('leaves no handler of signals behind', async () => {
    const before = process.listenerCount('SIGINT');
    await run(good);
    await run(join(directory, 'missing.jsonl')).catch(() => undefined);
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});
