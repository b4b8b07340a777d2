import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAcceptance, type Acceptance } from '../support/acceptance.js';
import { chatRows } from '../support/datasets.js';
import type { CallOptions } from '../support/gateway-client.js';

let setup: Acceptance;
let slug: string;
let file: string;
let otherFile: string;
const marker = randomUUID();

beforeAll(async () => {
  setup = await startAcceptance();
  ({ slug } = await setup.client.newVirtualKey(setup.emulators));
  file = await setup.client.dataset();
  otherFile = await setup.client.upload('words\n', 'words.txt', 'user_data');
});
afterAll(() => setup.close());

const JOBS = '/v1/fine_tuning/jobs';
const FILES = '/v1/files';

/** A good create, marked, with something wrong laid over it. */
const create = (change: Readonly<Record<string, unknown>>, headers: Readonly<Record<string, string>> = {}) => ({
  json: {
    model: 'gpt-4o-mini',
    training_file: file,
    metadata: { marker },
    portkey_options: { 'x-portkey-virtual-key': slug },
    ...change,
  },
  headers,
});
const text = (body: string, contentType = 'application/json'): CallOptions => ({
  body,
  headers: { 'content-type': contentType },
});
function form(parts: Readonly<Record<string, string>>, filename: string | null, content = chatRows(1)): CallOptions {
  const body = new FormData();
  for (const [name, value] of Object.entries(parts)) body.set(name, value);
  if (filename !== null) body.set('file', new Blob([content]), filename);
  return { body };
}

interface Case {
  readonly what: string;
  readonly method: string;
  readonly path: string;
  readonly options?: () => CallOptions;
  readonly status: number;
  readonly code?: string | null;
  readonly param?: string | null;
  readonly message?: RegExp;
}

const CASES: readonly Case[] = [
  { what: 'no key', method: 'GET', path: JOBS, options: () => ({ anonymous: true }), status: 401, code: null },
  {
    what: 'a wrong key',
    method: 'GET',
    path: JOBS,
    options: () => ({ anonymous: true, headers: { authorization: 'Bearer tsk-wrong-wrong-wrong-wrong' } }),
    status: 401,
    code: 'invalid_api_key',
  },
  {
    what: 'malformed JSON',
    method: 'POST',
    path: JOBS,
    options: () => text('{"model": "gpt-4o-mini",\n "training_file" "x"}'),
    status: 400,
    message: /line 2, column 18/,
  },
  { what: 'an empty body', method: 'POST', path: JOBS, options: () => text(''), status: 400 },
  { what: 'an array', method: 'POST', path: JOBS, options: () => text('[]'), status: 400 },
  {
    what: 'a body over the limit',
    method: 'POST',
    path: JOBS,
    options: () => create({ suffix: 'x'.repeat(2_000_000) }),
    status: 413,
    code: 'payload_too_large',
  },
  {
    what: 'a file over the limit',
    method: 'POST',
    path: FILES,
    options: () => form({ purpose: 'fine-tune' }, `${marker}.jsonl`, 'x'.repeat(5 * 1024 * 1024)),
    status: 413,
    code: 'payload_too_large',
  },
  {
    what: 'JSON as text',
    method: 'POST',
    path: JOBS,
    options: () => text('{}', 'text/plain'),
    status: 415,
    code: 'unsupported_media_type',
  },
  {
    what: 'a file as JSON',
    method: 'POST',
    path: FILES,
    options: () => text('{}'),
    status: 415,
    code: 'unsupported_media_type',
  },
  { what: 'an unknown route', method: 'GET', path: '/v1/nothing', status: 404, code: 'unknown_url' },
  { what: "another of OpenAI's routes", method: 'GET', path: '/v1/batches', status: 404, code: 'not_supported' },
  { what: 'a wrong method', method: 'PUT', path: JOBS, status: 405, code: 'method_not_allowed' },
  { what: 'another wrong method', method: 'DELETE', path: `${JOBS}/ftjob-x`, status: 405, code: 'method_not_allowed' },
  { what: 'an unknown file', method: 'GET', path: `${FILES}/file-none`, status: 404 },
  { what: 'the content of an unknown file', method: 'GET', path: `${FILES}/file-none/content`, status: 404 },
  { what: 'a delete of an unknown file', method: 'DELETE', path: `${FILES}/file-none`, status: 404 },
  ...['', '/events', '/checkpoints'].map((end) => ({
    what: `an unknown job${end}`,
    method: 'GET',
    path: `${JOBS}/ftjob-none${end}`,
    status: 404,
    code: 'fine_tune_not_found',
  })),
  ...['/cancel', '/pause', '/resume'].map((end) => ({
    what: `an unknown job${end}`,
    method: 'POST',
    path: `${JOBS}/ftjob-none${end}`,
    status: 404,
    code: 'fine_tune_not_found',
  })),
  { what: 'a limit of words', method: 'GET', path: `${JOBS}?limit=two`, status: 400, param: 'limit' },
  { what: 'an unknown cursor', method: 'GET', path: `${JOBS}?after=ftjob-none`, status: 400, param: 'after' },
  {
    what: 'a form without a file',
    method: 'POST',
    path: FILES,
    options: () => form({ purpose: 'fine-tune' }, null),
    status: 400,
    param: 'file',
  },
  {
    what: 'a form without a purpose',
    method: 'POST',
    path: FILES,
    options: () => form({}, `${marker}.jsonl`),
    status: 400,
    param: 'purpose',
  },
  {
    what: 'an unknown purpose',
    method: 'POST',
    path: FILES,
    options: () => form({ purpose: 'fun' }, `${marker}.jsonl`),
    status: 400,
    param: 'purpose',
  },
  {
    what: 'another kind of file',
    method: 'POST',
    path: FILES,
    options: () => form({ purpose: 'fine-tune' }, `${marker}.csv`),
    status: 400,
  },
  {
    what: 'an empty file',
    method: 'POST',
    path: FILES,
    options: () => form({ purpose: 'fine-tune' }, `${marker}.jsonl`, ''),
    status: 400,
    param: 'file',
  },
  { what: 'no model', method: 'POST', path: JOBS, options: () => create({ model: null }), status: 400, param: 'model' },
  {
    what: 'no training file',
    method: 'POST',
    path: JOBS,
    options: () => create({ training_file: '' }),
    status: 400,
    param: 'training_file',
  },
  {
    what: 'a suffix that is too long',
    method: 'POST',
    path: JOBS,
    options: () => create({ suffix: 'x'.repeat(65) }),
    status: 400,
    param: 'suffix',
  },
  {
    what: 'epochs in words',
    method: 'POST',
    path: JOBS,
    options: () => create({ hyperparameters: { n_epochs: 'two' } }),
    status: 400,
    param: 'hyperparameters.n_epochs',
  },
  {
    what: 'epochs of a method in words',
    method: 'POST',
    path: JOBS,
    options: () => create({ method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 'two' } } } }),
    status: 400,
    param: 'method.supervised.hyperparameters.n_epochs',
  },
  {
    what: 'a method and hyperparameters that differ',
    method: 'POST',
    path: JOBS,
    options: () =>
      create({
        method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 1 } } },
        hyperparameters: { n_epochs: 2 },
      }),
    status: 400,
    param: 'hyperparameters',
  },
  {
    what: 'an unknown method',
    method: 'POST',
    path: JOBS,
    options: () => create({ method: { type: 'magic' } }),
    status: 400,
    param: 'method.type',
  },
  {
    what: '17 pairs of metadata',
    method: 'POST',
    path: JOBS,
    options: () =>
      create({ metadata: { marker, ...Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`k${n}`, 'v'])) } }),
    status: 400,
    param: 'metadata',
  },
  {
    what: 'an unknown virtual key',
    method: 'POST',
    path: JOBS,
    options: () => create({ portkey_options: { 'x-portkey-virtual-key': 'nobody' } }),
    status: 400,
    code: 'unknown_virtual_key',
    param: 'portkey_options.x-portkey-virtual-key',
  },
  {
    what: 'a provider header',
    method: 'POST',
    path: JOBS,
    options: () => create({ portkey_options: undefined }, { 'x-portkey-provider': 'openai' }),
    status: 400,
    code: 'unsupported_operation',
  },
  {
    what: 'a provider header beside portkey_options',
    method: 'POST',
    path: JOBS,
    options: () => create({}, { 'x-portkey-provider': 'openai' }),
    status: 400,
    code: 'ambiguous_mode',
    param: 'portkey_options',
  },
  {
    what: 'an Idempotency-Key that is too long',
    method: 'POST',
    path: JOBS,
    options: () => create({}, { 'idempotency-key': 'x'.repeat(256) }),
    status: 400,
  },
  {
    what: 'an unknown key',
    method: 'POST',
    path: JOBS,
    options: () => create({ epochs: 3 }),
    status: 400,
    code: 'unknown_parameter',
    param: 'epochs',
  },
  {
    what: 'an unknown option',
    method: 'POST',
    path: JOBS,
    options: () => create({ portkey_options: { 'x-portkey-virtual-key': slug, 'x-portkey-magic': '1' } }),
    status: 400,
    param: 'portkey_options.x-portkey-magic',
  },
  {
    what: 'a training file that is unknown',
    method: 'POST',
    path: JOBS,
    options: () => create({ training_file: 'file-none' }),
    status: 400,
    code: 'invalid_training_file',
    param: 'training_file',
  },
  {
    what: 'a training file of another purpose',
    method: 'POST',
    path: JOBS,
    options: () => create({ training_file: otherFile }),
    status: 400,
    code: 'invalid_training_file',
    param: 'training_file',
  },
  {
    what: 'a validation file of another purpose',
    method: 'POST',
    path: JOBS,
    options: () => create({ validation_file: otherFile }),
    status: 400,
    param: 'validation_file',
  },
];

async function expectRefused(each: Case): Promise<void> {
  const { client } = setup;
  const answer = await client.call(each.method, each.path, each.options?.() ?? {});
  expect(answer.status, answer.text).toBe(each.status);
  const error = client.errorOf(answer);
  if (each.code !== undefined) expect(error.code).toBe(each.code);
  if (each.param !== undefined) expect(error.param).toBe(each.param);
  if (each.message !== undefined) expect(error.message).toMatch(each.message);
  if (each.status === 405) expect(answer.headers.get('allow')).toContain('GET');
}

it.each(CASES)('refuses $what with $status, asking nobody', async (each) => {
  await setup.emulators.forgetRequests();
  await expectRefused(each);
  expect(await setup.emulators.requests()).toEqual([]);
});

it('leaves no job and no file of all that', async () => {
  const jobs = await setup.client.call('GET', `${JOBS}?metadata[marker]=${marker}`);
  expect(JSON.parse(jobs.text)).toMatchObject({ data: [] });
  const files = await setup.client.call('GET', FILES);
  expect(files.text).not.toContain(marker);
});
