import { describe, expect, it } from 'vitest';
import { formatPreflightError, preflight, type PreflightOptions, type PreflightReport } from './index.js';

const encoder = new TextEncoder();
const GOOD = {
  messages: [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: 'hello' },
  ],
};
const CALL = { id: 'call_1', type: 'function', function: { name: 'look', arguments: '{}' } };
const USER = { role: 'user', content: 'hi' };
const ASSISTANT = { role: 'assistant', content: 'hello' };

async function* chunks(bytes: Uint8Array, size = bytes.length): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes.length; start += Math.max(size, 1)) {
    await Promise.resolve();
    yield bytes.subarray(start, start + size);
  }
}

function check(
  text: string | Uint8Array,
  options: Partial<PreflightOptions> = {},
  chunkSize?: number,
): Promise<PreflightReport> {
  const bytes = typeof text === 'string' ? encoder.encode(text) : text;
  const all = { method: 'supervised', role: 'training', minimumRows: 1, ...options } as const;
  return preflight(chunks(bytes, chunkSize), all, new AbortController().signal);
}

const lines = (...rows: unknown[]): string => rows.map((row) => JSON.stringify(row)).join('\n');
const messages = (...list: unknown[]): object => ({ messages: list });

describe('preflight', () => {
  it('accepts rows of every legal shape of the chat format', async () => {
    const tool = {
      type: 'function',
      function: { name: 'look', description: 'd', parameters: { type: 'object' }, strict: true },
    };
    const report = await check(
      lines(
        GOOD,
        messages(
          { role: 'system', content: 's' },
          { role: 'developer', content: [{ type: 'text', text: 'd' }] },
          USER,
          ASSISTANT,
        ),
        { ...GOOD, tools: [tool], parallel_tool_calls: false },
        { ...GOOD, functions: [{ name: 'look', parameters: {} }] },
        {
          ...messages(
            USER,
            { role: 'assistant', content: null, tool_calls: [CALL] },
            { role: 'tool', tool_call_id: 'call_1', content: '1' },
            ASSISTANT,
          ),
          tools: [tool],
        },
        { ...messages(USER, { role: 'assistant', tool_calls: [CALL] }), tools: [tool] },
        {
          ...messages(
            USER,
            { role: 'assistant', content: null, function_call: { name: 'look', arguments: '' } },
            { role: 'function', name: 'look', content: null },
            ASSISTANT,
          ),
          functions: [{ name: 'look' }],
        },
        messages(USER, { ...ASSISTANT, weight: 0 }, USER, { ...ASSISTANT, weight: 1, refusal: null, audio: null }),
        messages(
          {
            role: 'user',
            name: 'ann',
            content: [
              { type: 'text', text: 'see' },
              { type: 'image_url', image_url: { url: 'https://a.example/b.png', detail: 'low' } },
            ],
          },
          ASSISTANT,
        ),
        messages(
          { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }] },
          ASSISTANT,
        ),
      ),
      { minimumRows: 10 },
    );
    expect(report).toMatchObject({ role: 'training', method: 'supervised', format: 'chat', rowCount: 10 });
    expect([...report.errors, ...report.warnings]).toEqual([]);
    expect(report.roles).toEqual({ system: 1, developer: 1, user: 11, assistant: 13, tool: 1, function: 1 });
    expect([report.imageRowCount, report.imageCount]).toEqual([2, 2]);
    expect(formatPreflightError(report)).toBe('');
  });

  it.each<[string, unknown, string, string]>([
    [
      'an unknown role',
      messages(USER, { role: 'assistent', content: '' }, ASSISTANT),
      'messages[1].role',
      '"assistent"',
    ],
    ['a key that is not of the row', { ...GOOD, id: 7 }, 'id', '7'],
    ['a key that is not of the message', messages(USER, { ...ASSISTANT, time: 1 }), 'messages[1].time', '1'],
    ['no messages', {}, 'messages', 'nothing'],
    ['an empty list of messages', messages(), 'messages', 'an empty list'],
    ['a message that is no object', messages('x', ASSISTANT), 'messages[0]', '"x"'],
    ['no assistant', messages(USER), 'messages', 'a list of 1'],
    ['weight on a user', messages({ ...USER, weight: 1 }, ASSISTANT), 'messages[0].weight', '1'],
    ['a weight of one half', messages(USER, { ...ASSISTANT, weight: 0.5 }), 'messages[1].weight', '0.5'],
    ['null content without calls', messages(USER, { role: 'assistant', content: null }), 'messages[1].content', 'null'],
    ['null content of a user', messages({ role: 'user', content: null }, ASSISTANT), 'messages[0].content', 'null'],
    [
      'an image of a system message',
      messages({ role: 'system', content: [{ type: 'image_url', image_url: { url: 'https://a' } }] }, ASSISTANT),
      'messages[0].content[0].type',
      '"image_url"',
    ],
    [
      'an image of an assistant',
      messages(USER, { role: 'assistant', content: [{ type: 'image_url', image_url: { url: 'https://a' } }] }),
      'messages[1].content[0].type',
      '"image_url"',
    ],
    [
      'an image from a file',
      messages({ role: 'user', content: [{ type: 'image_url', image_url: { url: 'file:///a' } }] }, ASSISTANT),
      'messages[0].content[0].image_url.url',
      '"file:///a"',
    ],
    [
      'a tool message without its call',
      messages(USER, { role: 'tool', content: '1' }, ASSISTANT),
      'messages[1].tool_call_id',
      'nothing',
    ],
    [
      'a call whose arguments are an object',
      messages(USER, { role: 'assistant', tool_calls: [{ ...CALL, function: { name: 'look', arguments: {} } }] }),
      'messages[1].tool_calls[0].function.arguments',
      'an empty object',
    ],
    [
      'a tool name with a space',
      { ...GOOD, tools: [{ type: 'function', function: { name: 'a b' } }] },
      'tools[0].function.name',
      '"a b"',
    ],
    ['a switch that is a string', { ...GOOD, parallel_tool_calls: 'no' }, 'parallel_tool_calls', '"no"'],
    ['a row that is a list', [], '', 'an empty list'],
    ['a row that is null', null, '', 'null'],
  ])('refuses %s, with line and path', async (_what, row, path, found) => {
    const report = await check(lines(GOOD, row));
    expect(report.errorCount).toBe(1);
    expect(report.errors[0]).toMatchObject({ line: 2, path, found });
    expect(report.rowCount).toBe(2);
  });

  it('says what is wrong in a sentence that names the lines', async () => {
    const wrong = messages(USER, ASSISTANT, { role: 'assistent', content: 'x' });
    expect(formatPreflightError(await check(lines(GOOD, wrong), { role: 'validation' }))).toBe(
      'The validation file has an error. line 2: messages[2].role must be one of system, developer, user, assistant, ' +
        'tool, function (found "assistent").',
    );
    const many = formatPreflightError(
      await check(lines(...Array.from({ length: 13 }, () => ({ prompt: 1, completion: '' })))),
    );
    expect(many).toMatch(
      /^The training file has 13 errors\. line 1: prompt must be a string \(found 1\)\. .* and 3 more\.$/,
    );
  });

  it('reports too few rows as an error of the file, before those of its lines', async () => {
    const report = await check(lines(GOOD, {}), { minimumRows: 10 });
    expect(report.errors[0]).toEqual({
      check: 'too_few_rows',
      line: null,
      column: null,
      path: '',
      found: '2 rows',
      expected: 'at least 10 rows',
      message: 'the file has 2 rows, and needs at least 10 rows',
    });
    expect(report.errorCount).toBe(2);
  });

  it('asks ten rows of a training file and one of a validation file', async () => {
    const signal = new AbortController().signal;
    const content = encoder.encode(lines(GOOD));
    expect((await preflight(chunks(content), { method: 'supervised', role: 'training' }, signal)).errorCount).toBe(1);
    expect((await preflight(chunks(content), { method: 'supervised', role: 'validation' }, signal)).errorCount).toBe(0);
    expect((await check('', { role: 'validation' })).errors[0]?.message).toBe(
      'the file is empty, and needs at least 1 row',
    );
  });

  it('counts all errors and keeps the first hundred', async () => {
    const report = await check(lines(...Array.from({ length: 250 }, () => ({}))));
    expect(report.errorCount).toBe(250);
    expect(report.errors.map((error) => error.line)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  it('takes blank lines at the end and refuses them in the middle', async () => {
    expect((await check(`${lines(GOOD)}\n`)).errorCount).toBe(0);
    expect((await check(`${lines(GOOD)}\r\n \r\n\n`)).errorCount).toBe(0);
    const report = await check(`${lines(GOOD)}\n\n  \n${lines(GOOD)}\n\n`);
    expect(report.errors.map((error) => error.line)).toEqual([2, 3]);
    expect(report.rowCount).toBe(2);
  });

  it('refuses bytes that are not UTF-8, on the line where they stand', async () => {
    const row = encoder.encode(`${lines(GOOD)}\n`);
    const broken = Uint8Array.from([...row, 0x22, 0xc3, 0x28, 0x22, 0x0a, ...row]);
    expect((await check(broken)).errors).toMatchObject([
      { line: 2, column: 2, message: 'the line is not valid UTF-8: the byte 0xC3 at byte 2' },
    ]);
  });

  it('refuses a line that is not JSON without repeating it whole', async () => {
    const report = await check(`${lines(GOOD)}\n{"messages": [}${'x'.repeat(1000)}\n`);
    expect(report.errors).toMatchObject([{ check: 'invalid_json', line: 2, column: 15 }]);
    expect(report.errors[0]?.message).toMatch(/^the line is not valid JSON: column 15 must be a value \(found .+\)$/);
    expect(JSON.stringify(report.errors[0]).length).toBeLessThan(400);
  });

  it('refuses a line over the limit, goes on after it, and finds the same with any chunks', async () => {
    const text = `${lines(GOOD)}\n${'x'.repeat(5000)}\n${lines({ messages: 'é' })}\n`;
    const whole = await check(text, { maxRowBytes: 1000 });
    expect(whole.errors).toMatchObject([{ line: 2 }, { line: 3, path: 'messages', found: '"é"' }]);
    expect(whole.rowCount).toBe(3);
    for (const size of [1, 2, 7, 999, 1000, 1001]) {
      expect(await check(text, { maxRowBytes: 1000 }, size)).toEqual(whole);
    }
  });

  it('takes a byte order mark at the start of the file alone', async () => {
    expect((await check(`\uFEFF${lines(GOOD)}`)).errorCount).toBe(0);
    expect((await check(`${lines(GOOD)}\n\uFEFF${lines(GOOD)}`)).errors).toMatchObject([{ line: 2 }]);
  });

  it('takes completion rows where the first row is one, and no mixture', async () => {
    const completion = { prompt: 'a', completion: 'b' };
    expect(await check(lines(completion, completion))).toMatchObject({ format: 'completion', errorCount: 0 });
    expect((await check(lines(completion, GOOD))).errors).toMatchObject([{ line: 2, path: '' }]);
    expect((await check(lines(GOOD, completion))).errors).toMatchObject([{ line: 2, path: '' }]);
    expect((await check(lines({ ...completion, id: 1 }))).errors).toMatchObject([{ path: 'id' }]);
  });

  it('shortens what it quotes, and hides control characters', async () => {
    const report = await check(
      lines(messages({ role: `a\u0000${'b'.repeat(500)}`, content: '' }, ASSISTANT), {
        ['k\u0000'.repeat(100)]: 1,
        ...GOOD,
      }),
    );
    for (const error of report.errors) {
      expect(error.found.length).toBeLessThanOrEqual(60);
      expect(`${error.path}${error.message}`).not.toContain('\u0000');
      expect(error.path.length).toBeLessThan(100);
    }
    expect(report.errorCount).toBe(2);
  });

  it.each<[string, unknown, string | null]>([
    ['a legal row', { input: messages(USER), preferred_output: [ASSISTANT], non_preferred_output: [ASSISTANT] }, null],
    [
      'two preferred answers',
      { input: messages(USER), preferred_output: [ASSISTANT, ASSISTANT], non_preferred_output: [ASSISTANT] },
      'preferred_output',
    ],
    [
      'an answer of the user',
      { input: messages(USER), preferred_output: [USER], non_preferred_output: [ASSISTANT] },
      'preferred_output[0].role',
    ],
    [
      'an image',
      {
        input: messages({ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://a' } }] }),
        preferred_output: [ASSISTANT],
        non_preferred_output: [ASSISTANT],
      },
      'input.messages[0].content[0].type',
    ],
    ['a missing rejection', { input: messages(USER), preferred_output: [ASSISTANT] }, 'non_preferred_output'],
    [
      'a chat row',
      { ...GOOD, input: messages(USER), preferred_output: [ASSISTANT], non_preferred_output: [ASSISTANT] },
      'messages',
    ],
  ])('of preference rows, judges %s', async (_what, row, path) => {
    const report = await check(lines(row), { method: 'dpo' });
    expect(report.format).toBe('preference');
    expect(report.errors.map((error) => error.path)).toEqual(path === null ? [] : [path]);
  });

  it.each<[string, unknown, string | null]>([
    ['keys for the grader', { messages: [USER], answer: { value: 4 } }, null],
    ['an assistant at the end', messages(USER, ASSISTANT), 'messages[1].role'],
    ['no messages', { answer: 4 }, 'messages'],
  ])('of reinforcement rows, judges %s', async (_what, row, path) => {
    const report = await check(lines(row), { method: 'reinforcement' });
    expect(report.errors.map((error) => error.path)).toEqual(path === null ? [] : [path]);
  });

  it('stops with the signal’s reason, and lets the event loop turn meanwhile', async () => {
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const block = encoder.encode(`${lines(...Array.from({ length: 500 }, () => GOOD))}\n`);
    async function* endless(): AsyncIterable<Uint8Array> {
      for (;;) {
        await Promise.resolve();
        yield block;
      }
    }
    setTimeout(() => controller.abort(reason), 20);
    await expect(preflight(endless(), { method: 'supervised', role: 'training' }, controller.signal)).rejects.toBe(
      reason,
    );
  });

  it('passes on what the content throws', async () => {
    const failure = new Error('disk');
    async function* failing(): AsyncIterable<Uint8Array> {
      yield encoder.encode('{}\n');
      await Promise.reject(failure);
    }
    await expect(
      preflight(failing(), { method: 'supervised', role: 'training' }, new AbortController().signal),
    ).rejects.toBe(failure);
  });
});
