import { once } from 'node:events';
import { createServer, request as httpRequest, type Server } from 'node:http';
import OpenAI from 'openai';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { createJobServiceSetup, type JobServiceSetup } from '../../../test/support/job-service.js';
import { createJobCheckpointsRepository } from '../../store/job-checkpoints.js';
import { createJobEventsRepository } from '../../store/job-events.js';
import { createApp } from '../app.js';
import { createFineTuningJobsRouter } from './fine-tuning-jobs.js';

let database: TestDatabase;
let setup: JobServiceSetup;
let server: Server;
let origin: string;
let creates: Promise<unknown>[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.drop();
});
beforeEach(async () => {
  for (const table of ['jobCheckpoints', 'jobEvents', 'jobs', 'virtualKeys', 'files'] as const) {
    await database.database.deleteFrom(table).execute();
  }
  setup = await createJobServiceSetup(database.database);
  creates = [];
  const { service } = setup;
  const app = createApp({
    logger: pino({ level: 'silent' }),
    gatewayKeys: { authenticate: (key) => Promise.resolve(key === 'tsk-good' ? setup.caller : null) },
    publicRouters: [],
    routers: [
      createFineTuningJobsRouter({
        jobs: {
          ...service,
          create: (input) => {
            const outcome = service.create(input);
            creates.push(outcome);
            return outcome;
          },
        },
      }),
    ],
  });
  server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  origin = `http://127.0.0.1:${address.port}`;
  return async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
});

const answerBody = z.looseObject({
  id: z.string().optional(),
  data: z.array(z.looseObject({ id: z.string() })).optional(),
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: z.output<typeof answerBody>;
}

async function call(
  method: string,
  path: string,
  options: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer> {
  const response = await fetch(`${origin}/v1${path}`, {
    method,
    headers: {
      authorization: 'Bearer tsk-good',
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.body === undefined
      ? {}
      : { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) }),
  });
  return { status: response.status, headers: response.headers, body: answerBody.parse(await response.json()) };
}

const JOBS = '/fine_tuning/jobs';
const minimal = { model: 'gpt-4o-mini', training_file: 'file-train' };
const create = (body: unknown = minimal, headers: Readonly<Record<string, string>> = {}) =>
  call('POST', JOBS, { body, headers });
const countJobs = async (): Promise<number> =>
  (await database.database.selectFrom('jobs').select('id').execute()).length;
const client = (fetcher: typeof fetch = fetch): OpenAI =>
  new OpenAI({ apiKey: 'tsk-good', baseURL: `${origin}/v1`, fetch: fetcher });

describe('the jobs routes', () => {
  it('create, show, list and cancel a job', async () => {
    const created = await create({ ...minimal, portkey_options: { 'x-portkey-virtual-key': 'sandbox' } });
    expect(created).toMatchObject({ status: 200, body: { object: 'fine_tuning.job', status: 'validating_files' } });
    expect(created.headers.get('x-request-id')).toMatch(/^req_/);
    const id = created.body.id ?? '';
    expect(await call('GET', `${JOBS}/${id}`)).toMatchObject({ status: 200, body: { id, gateway: { sandbox: true } } });
    expect(await call('GET', JOBS)).toMatchObject({ body: { object: 'list', has_more: false, data: [{ id }] } });
    for (const body of [undefined, {}]) {
      const cancelled = await call('POST', `${JOBS}/${id}/cancel`, { body });
      expect(cancelled).toMatchObject({ status: 200, body: { id, gateway: { cancel_requested: true } } });
    }
    expect(setup.workflows.signals).toEqual([id, id]);
  });

  it('work with the unmodified client of OpenAI, page by page', async () => {
    const openai = client();
    const made = await openai.fineTuning.jobs.create({ ...minimal, metadata: { team: 'a' } });
    await openai.fineTuning.jobs.create(minimal);
    const events = createJobEventsRepository(database.database);
    await events.append(
      made.id,
      Array.from({ length: 45 }, (_, step) => ({
        sourceId: `provider:${step}` as const,
        level: 'info' as const,
        type: 'metrics' as const,
        message: `Step ${step}`,
        data: { step },
      })),
    );
    await createJobCheckpointsRepository(database.database).add(
      made.id,
      Array.from({ length: 12 }, (_, step) => ({
        id: `c${step}`,
        createdAt: new Date().toISOString(),
        fineTunedModelCheckpoint: 'ft:x',
        stepNumber: step,
        metrics: { step },
      })),
    );
    const seen: string[] = [];
    for await (const event of openai.fineTuning.jobs.listEvents(made.id)) seen.push(event.message);
    expect(seen).toEqual([
      ...Array.from({ length: 45 }, (_, index) => `Step ${44 - index}`),
      `Created fine-tuning job: ${made.id}`,
    ]);
    const steps: number[] = [];
    for await (const each of openai.fineTuning.jobs.checkpoints.list(made.id)) steps.push(each.step_number);
    expect(steps).toEqual(Array.from({ length: 12 }, (_, index) => 11 - index));
    const tagged = await openai.fineTuning.jobs.list({ metadata: { team: 'a' } });
    expect(tagged.data.map((job) => job.id)).toEqual([made.id]);
    expect((await openai.fineTuning.jobs.cancel(made.id)).id).toBe(made.id);
    await expect(openai.fineTuning.jobs.retrieve('ftjob-none')).rejects.toMatchObject({
      status: 404,
      code: 'fine_tune_not_found',
      param: 'fine_tune_id',
    });
  });

  it('make one job where the answer was cut off and the client tried again by itself', async () => {
    const counts: (string | null)[] = [];
    const cutOff: typeof fetch = async (input, init) => {
      counts.push(new Headers(init?.headers).get('x-stainless-retry-count'));
      const response = await fetch(input, init);
      if (counts.length > 1) return response;
      await response.arrayBuffer();
      throw new TypeError('fetch failed');
    };
    const job = await client(cutOff).fineTuning.jobs.create(minimal);
    expect(counts).toEqual(['0', '1']);
    expect(await countJobs()).toBe(1);
    expect((await setup.jobs.get(job.id)).workflowStartedAt).toBeInstanceOf(Date);
  });

  it('answer the same Idempotency-Key with the same job, and another body with 422', async () => {
    const headers = { 'idempotency-key': 'once' };
    const first = await create(minimal, headers);
    expect((await create(minimal, headers)).body).toEqual(first.body);
    const other = await create({ ...minimal, suffix: 'other' }, headers);
    expect(other).toMatchObject({ status: 422, body: { error: { code: 'idempotency_conflict' } } });
    expect(await create(minimal, { 'idempotency-key': '' })).toMatchObject({ status: 400 });
  });

  it('make nothing for a client that hung up before the commit', async () => {
    setup.vendors.openai.tunes.set('slow-model', 'hangs');
    const body = JSON.stringify({ ...minimal, model: 'slow-model' });
    const outgoing = httpRequest(`${origin}/v1${JOBS}`, {
      method: 'POST',
      headers: { authorization: 'Bearer tsk-good', 'content-type': 'application/json' },
    });
    outgoing.on('error', () => undefined);
    outgoing.end(body);
    await expect.poll(() => setup.vendors.openai.lookUps).toEqual(['slow-model']);
    outgoing.destroy();
    expect(await Promise.all(creates)).toEqual([null]);
    expect(await countJobs()).toBe(0);
  });

  it('serve reads, creates and cancels while Temporal is down', async () => {
    setup.workflows.down = true;
    const { body } = await create();
    expect(await call('GET', `${JOBS}/${body.id ?? ''}`)).toMatchObject({ status: 200 });
    expect(await call('POST', `${JOBS}/${body.id ?? ''}/cancel`)).toMatchObject({ status: 200 });
    expect(await call('POST', `${JOBS}/${body.id ?? ''}/pause`)).toMatchObject({
      status: 503,
      body: { error: { code: 'temporal_unavailable' } },
    });
  });

  it('filter lists by metadata, and by its absence', async () => {
    const tagged = (await create({ ...minimal, metadata: { team: 'a' } })).body.id ?? '';
    const bare = (await create()).body.id ?? '';
    const ids = async (query: string): Promise<string[]> =>
      ((await call('GET', `${JOBS}?${query}`)).body.data ?? []).map((job) => job.id);
    expect(await ids('metadata[team]=a')).toEqual([tagged]);
    expect(await ids('metadata%5Bteam%5D=b')).toEqual([]);
    expect(await ids('metadata=null')).toEqual([bare]);
    expect(await ids('limit=1')).toEqual([bare]);
    expect(await ids(`after=${bare}`)).toEqual([tagged]);
  });
});

describe('bad input', () => {
  it.each<[string, unknown, number, string | null, string | null]>([
    ['malformed JSON', '{"model": }', 400, null, null],
    ['a body that is no object', '[]', 400, null, null],
    ['no model', { training_file: 'file-train' }, 400, 'model', null],
    ['an unknown file', { ...minimal, training_file: 'file-none' }, 400, 'training_file', 'invalid_training_file'],
    ['a suffix that is too long', { ...minimal, suffix: 'x'.repeat(65) }, 400, 'suffix', null],
    ['n_epochs "two"', { ...minimal, hyperparameters: { n_epochs: 'two' } }, 400, 'hyperparameters.n_epochs', null],
    ['an unknown key', { ...minimal, epochs: 3 }, 400, 'epochs', 'unknown_parameter'],
    [
      'an unknown virtual key',
      { ...minimal, portkey_options: { 'x-portkey-virtual-key': 'no' } },
      400,
      'portkey_options.x-portkey-virtual-key',
      'unknown_virtual_key',
    ],
    ['U+0000', { ...minimal, suffix: 'a\0b' }, 400, null, null],
  ])('in a create: %s', async (_what, body, status, param, code) => {
    const answer = await create(body);
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({
      error: { message: expect.any(String), type: 'invalid_request_error', param, code },
    });
    expect(await countJobs()).toBe(0);
    expect(setup.workflows.starts).toEqual([]);
  });

  it('is refused where the call is of client mode, or of both', async () => {
    const headers = { 'x-portkey-virtual-key': 'sandbox' };
    expect(await create(minimal, headers)).toMatchObject({
      status: 400,
      body: { error: { code: 'unsupported_operation' } },
    });
    const both = { ...minimal, portkey_options: { 'x-portkey-virtual-key': 'sandbox' } };
    expect(await create(both, headers)).toMatchObject({ status: 400, body: { error: { code: 'ambiguous_mode' } } });
    for (const [method, path] of [
      ['GET', JOBS],
      ['GET', `${JOBS}/ftjob-a`],
      ['POST', `${JOBS}/ftjob-a/cancel`],
      ['POST', `${JOBS}/ftjob-a/pause`],
      ['GET', `${JOBS}/ftjob-a/events`],
      ['GET', `${JOBS}/ftjob-a/checkpoints`],
    ] as const) {
      expect(await call(method, path, { headers })).toMatchObject({
        status: 400,
        body: { error: { code: 'unsupported_operation' } },
      });
    }
  });

  it.each([
    ['GET', `${JOBS}/ftjob-none`],
    ['POST', `${JOBS}/ftjob-none/cancel`],
    ['POST', `${JOBS}/ftjob-none/pause`],
    ['POST', `${JOBS}/ftjob-none/resume`],
    ['GET', `${JOBS}/ftjob-none/events`],
    ['GET', `${JOBS}/ftjob-none/checkpoints`],
  ])("%s %s is 404 in OpenAI's words", async (method, path) => {
    expect(await call(method, path)).toMatchObject({
      status: 404,
      body: {
        error: {
          message: 'Could not find fine tune: ftjob-none',
          type: 'invalid_request_error',
          param: 'fine_tune_id',
          code: 'fine_tune_not_found',
        },
      },
    });
  });

  it.each([
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=ten', 'limit'],
    ['after=ftjob-none', 'after'],
    ['order=asc', 'order'],
    ['metadata=team', 'metadata'],
    ['metadata[__proto__]=x', 'metadata[__proto__]'],
    ['__proto__=x', '__proto__'],
  ])('in a list: %s', async (query, param) => {
    expect(await call('GET', `${JOBS}?${query}`)).toMatchObject({ status: 400, body: { error: { param } } });
  });

  it('is refused in a cancel: a field, and a job that is finished', async () => {
    const id = (await create()).body.id ?? '';
    expect(await call('POST', `${JOBS}/${id}/cancel`, { body: { force: true } })).toMatchObject({
      status: 400,
      body: { error: { code: 'unknown_parameter', param: 'force' } },
    });
    await setup.jobs.recordState(id, { runId: 'a', sequence: 1 }, { status: 'cancelled', phase: 'finished' });
    expect(await call('POST', `${JOBS}/${id}/cancel`)).toMatchObject({
      status: 400,
      body: { error: { message: `Cannot cancel job ${id}: it has already been cancelled.`, code: null } },
    });
    expect(setup.workflows.signals).toEqual([]);
  });

  it('is 405 with Allow for a wrong method, and 401 without a key', async () => {
    const answer = await call('DELETE', `${JOBS}/ftjob-a`);
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toContain('GET');
    expect(await call('GET', JOBS, { headers: { authorization: 'Bearer wrong' } })).toMatchObject({ status: 401 });
  });
});
