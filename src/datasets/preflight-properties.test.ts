import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { preflight, type PreflightOptions, type PreflightReport } from './index.js';
import { walkJson } from './json-walk.js';

const OPTIONS: PreflightOptions = { method: 'supervised', role: 'training', minimumRows: 1 };

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncIterable<Uint8Array> {
  let start = 0;
  for (let index = 0; start < bytes.length; index += 1) {
    const size = sizes[index % sizes.length] ?? bytes.length;
    yield await Promise.resolve(bytes.slice(start, start + size));
    start += size;
  }
}

function check(
  bytes: Uint8Array,
  sizes: readonly number[] = [bytes.length],
  options = OPTIONS,
): Promise<PreflightReport> {
  return preflight(cut(bytes, sizes), options, new AbortController().signal);
}

const word = fc.string({ unit: 'binary', maxLength: 20 });
const user = word.map((content) => ({ role: 'user', content }));
const assistant = word.map((content) => ({ role: 'assistant', content }));
const chatRow = fc
  .array(fc.tuple(user, assistant), { minLength: 1, maxLength: 3 })
  .map((turns) => JSON.stringify({ messages: turns.flat() }));
const preferenceRow = fc
  .tuple(user, assistant, assistant)
  .filter(([, one, other]) => one.content !== other.content)
  .map(([asked, one, other]) =>
    JSON.stringify({ input: { messages: [asked] }, preferred_output: [one], non_preferred_output: [other] }),
  );
/** Without integers that a double cannot hold, which are warned of. */
const plainValue = fc.jsonValue().filter((value) => !/\d{16}/.test(JSON.stringify(value)));
const gradedRow = fc
  .tuple(user, fc.dictionary(fc.constantFrom('answer', 'note'), plainValue))
  .map(([asked, extras]) => JSON.stringify({ ...extras, messages: [asked] }));
const completionRow = fc.tuple(word, word).map(([prompt, completion]) => JSON.stringify({ prompt, completion }));

const format = fc.oneof(
  fc.record({ method: fc.constant('supervised' as const), rows: rowsOf(chatRow) }),
  fc.record({ method: fc.constant('supervised' as const), rows: rowsOf(completionRow) }),
  fc.record({ method: fc.constant('dpo' as const), rows: rowsOf(preferenceRow) }),
  fc.record({ method: fc.constant('reinforcement' as const), rows: rowsOf(gradedRow) }),
);
const frame = fc.record({
  newline: fc.constantFrom('\n', '\r\n', ' \t\n'),
  end: fc.constantFrom('', '\n', '\r\n', '\n\n \r\n'),
  mark: fc.constantFrom('', '\uFEFF'),
  escapes: fc.boolean(),
});
const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 });

function rowsOf(row: fc.Arbitrary<string>): fc.Arbitrary<string[]> {
  return fc.uniqueArray(row, { minLength: 1, maxLength: 8 });
}

/** The same JSON with every character beyond ASCII as an escape. */
const escaped = (row: string): string =>
  row.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

describe('preflight, of any file,', () => {
  it('passes the legal ones, with the right counts and with any chunks', async () => {
    await fc.assert(
      fc.asyncProperty(format, frame, sizes, async ({ method, rows }, { newline, end, mark, escapes }, chunkSizes) => {
        const lines = escapes ? rows.map(escaped) : rows;
        const bytes = Buffer.from(`${mark}${lines.join(newline)}${end}`, 'utf8');
        const options = { ...OPTIONS, method };
        const report = await check(bytes, chunkSizes, options);
        expect(report.errors).toEqual([]);
        expect(report.warnings.map((warning) => warning.check)).toEqual(mark === '' ? [] : ['byte_order_mark']);
        expect([report.rowCount, report.sizeBytes]).toEqual([rows.length, bytes.length]);
        expect(await check(bytes, [bytes.length], options)).toEqual(report);
      }),
      { numRuns: 300 },
    );
  });

  it.each<[string, (row: string) => string | Uint8Array, string]>([
    ['a NUL byte', (row) => row.replace('"user"', '"us\0er"'), 'nul_byte'],
    [
      'a byte that is not UTF-8',
      (row) => Buffer.concat([Buffer.from('{"a'), Buffer.from([0xff]), Buffer.from(row)]),
      'invalid_utf8',
    ],
    ['a missing brace', (row) => `${row.slice(0, -1)} `, 'invalid_json'],
    ['a trailing comma', (row) => `${row.slice(0, -1)},}`, 'invalid_json'],
    ['a blank line', () => ' \t', 'blank_line'],
    ['a list', (row) => `[${row}]`, 'not_an_object'],
    ['a key again', (row) => row.replace('"role"', '"role":"user","role"'), 'duplicate_key'],
    ['a key again behind a space', (row) => row.replace('"role":', '"role" :"user","role" :'), 'duplicate_key'],
    ['a key again, escaped', (row) => row.replace('"role"', '"r\\u006fle":"user","role"'), 'duplicate_key'],
    [
      'an unknown role',
      (row) => row.replace('"assistant"', '"assistent"').replace(']}', ',{"role":"assistant","content":""}]}'),
      'unknown_role',
    ],
    ['an unknown key', (row) => row.replace('{', '{"id":1,'), 'unknown_key'],
    ['half of a pair', (row) => row.replace('"content":"', '"content":"\\ud83d '), 'lone_surrogate'],
  ])('finds %s at its line', async (_what, mutate, expected) => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(chatRow, { minLength: 3, maxLength: 6 }),
        fc.nat(),
        sizes,
        async (rows, seed, chunkSizes) => {
          // Neither the first, which can say what the whole file is, nor the last, where it can be cut off.
          const index = 1 + (seed % (rows.length - 2));
          const lines = rows.map((row, at) => Buffer.from(at === index ? mutate(row) : row));
          const report = await check(Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')])), chunkSizes);
          const found = [...report.errors, ...report.warnings].map(({ check: name, line }) => [name, line]);
          expect(found).toEqual([[expected, index + 1]]);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('agrees with JSON.parse on what is JSON', () => {
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom(...Array.from('{}[],:"\\u0de1.-+ \n\ttruefalsn')) }),
      fc
        .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '\\', ',', '1', '\u0001', '}'))
        .map(([json, at, extra]) => {
          const place = at % (json.length + 1);
          return `${json.slice(0, place)}${extra}${json.slice(place + 1)}`;
        }),
      fc.json(),
    );
    fc.assert(
      fc.property(text, (json) => {
        let isJson = true;
        try {
          JSON.parse(json);
        } catch {
          isJson = false;
        }
        expect(walkJson(json) === null).toBe(isJson);
      }),
      { numRuns: 5_000 },
    );
  });

  it('ends with a report for 10,000 files of random or damaged bytes', async () => {
    const edits = fc.array(
      fc.record({ at: fc.nat(), kind: fc.constantFrom('flip', 'insert', 'cut'), byte: fc.nat(255) }),
      { maxLength: 4 },
    );
    const damaged = fc.tuple(fc.array(chatRow, { minLength: 1, maxLength: 3 }), edits).map(([rows, list]) => {
      const bytes = [...Buffer.from(rows.join('\n'))];
      for (const { at, kind, byte } of list) {
        bytes.splice(at % (bytes.length + 1), kind === 'insert' ? 0 : 1, ...(kind === 'cut' ? [] : [byte]));
      }
      return Uint8Array.from(bytes);
    });
    const file = fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged);
    await fc.assert(
      fc.asyncProperty(file, sizes, async (bytes, chunkSizes) => {
        const report = await check(bytes, chunkSizes, { ...OPTIONS, excerpts: true });
        expect(report.sizeBytes).toBeLessThanOrEqual(bytes.length);
        for (const { column, excerpt } of [...report.errors, ...report.warnings]) {
          expect(column ?? 1).toBeGreaterThan(0);
          expect(excerpt?.caret ?? 0).toBeLessThanOrEqual(excerpt?.text.length ?? 0);
        }
      }),
      { numRuns: 10_000 },
    );
  }, 60_000);
});
