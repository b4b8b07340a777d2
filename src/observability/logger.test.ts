import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createLogger, namedLogger, type Logger } from './logger.js';
import { redactText } from './redaction.js';

function capture(write: (logger: Logger) => void): { text: string; lines: Record<string, unknown>[] } {
  let text = '';
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  write(createLogger({ level: 'debug', destination, fields: { role: 'test' } }));
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { text, lines };
}

const KEYS = [
  'sk-proj-abcDEF0123456789_-xyz',
  'tsk-abcdefghijklmnopqrstuvwxyz',
  'fw_3ZabcdefghijklmnopQ',
  'AIzaSyA1234567890abcdefghijklmnopqrst',
  'ya29.a0AfH6SMBabcdefghijk',
  'AKIAIOSFODNN7EXAMPLE',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghij',
];

describe('the logger', () => {
  test('writes JSON lines with level, time, name and fields', () => {
    const { lines } = capture((logger) =>
      namedLogger(logger, 'http').info({ jobId: 'ftjob-1', count: 3 }, 'something happened'),
    );
    expect(lines[0]).toMatchObject({
      level: 'info',
      role: 'test',
      name: 'http',
      jobId: 'ftjob-1',
      count: 3,
      msg: 'something happened',
    });
    expect(lines[0]!['time']).toMatch(/^\d{4}-/);
  });

  test.each(KEYS)('hides a key by its shape, wherever it stands (%#)', (key) => {
    const { text } = capture((logger) => {
      logger.info(`calling with ${key} now`);
      logger.info({ detail: `x ${key} y`, deep: { list: [key] } }, 'fields');
      logger.error(new Error(`refused ${key}`));
      logger.error({ err: new Error('outer', { cause: new Error(`inner ${key}`) }) }, 'wrapped');
      logger.info('formatted %s', key);
      logger.child({ credential: key, other: key }).info('bound');
    });
    expect(text).not.toContain(key.slice(8));
  });

  test('hides fields by their names', () => {
    const { text, lines } = capture((logger) =>
      logger.info({
        apiKey: 'canary-1',
        headers: { Authorization: 'canary-2', 'x-portkey-api-key': 'canary-3', accept: 'shown' },
        settings: {
          awsSecretAccessKey: 'canary-4',
          clientSecret: 'canary-5',
          password: 'canary-6',
          token: { nested: 'canary-7' },
        },
        portkey_options: { 'x-portkey-openai-key': 'canary-8' },
        apiKeyId: 'key_shown',
        trainedTokens: 12,
      }),
    );
    expect(text).not.toContain('canary');
    expect(lines[0]).toMatchObject({ headers: { accept: 'shown' }, apiKeyId: 'key_shown', trainedTokens: 12 });
  });

  test('keeps type, message, stack, code and cause of an error', () => {
    const { lines } = capture((logger) =>
      logger.error(
        { err: Object.assign(new TypeError('wrong', { cause: new Error('why') }), { code: 'E_CODE' }) },
        'failed',
      ),
    );
    expect(lines[0]!['err']).toMatchObject({
      type: 'TypeError',
      message: 'wrong',
      code: 'E_CODE',
      stack: expect.stringContaining('logger.test.ts'),
      cause: { type: 'Error', message: 'why' },
    });
  });

  test('survives circles, depth and bytes', () => {
    const circle: Record<string, unknown> = { bytes: Buffer.from('sealed') };
    circle['self'] = circle;
    let deep: unknown = 'end';
    for (let index = 0; index < 50; index += 1) deep = { deep };
    const { lines } = capture((logger) => logger.info({ circle, deep, big: 10n }, 'odd'));
    expect(lines[0]).toMatchObject({ circle: { self: '[circular]', bytes: '[6 bytes]' }, big: '10' });
  });
});

test('passwords in addresses, parameters and bearer tokens are hidden, the rest is kept', () => {
  expect(redactText('postgres://tunesmith:p4ss@127.0.0.1:5432/x')).toBe(
    'postgres://tunesmith:[redacted]@127.0.0.1:5432/x',
  );
  expect(redactText('GET https://x/y?key=abc&limit=2')).toBe('GET https://x/y?key=[redacted]&limit=2');
  expect(redactText('Authorization: Bearer abcdefgh')).toBe('Authorization: Bearer [redacted]');
  expect(redactText('-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- after')).toBe('[redacted] after');
  const plain =
    'ftjob-abcdefghijklmnopqrstuvwxyz file-abcdefghijklmnopqrstuvwx ended after 3 polls, task-queue tunesmith-openai';
  expect(redactText(plain)).toBe(plain);
});
