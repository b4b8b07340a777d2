import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { chatRows } from './datasets.js';
import type { EmulatorControl } from './emulator-control.js';
import { loadOpenAiSchemas } from './openai-schema.js';
import { until, type UntilOptions } from './until.js';

const lastErrorSchema = z.looseObject({ code: z.string(), message: z.string() });
const jobSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  error: z.object({ code: z.string(), message: z.string(), param: z.string().nullable() }).nullable(),
  fine_tuned_model: z.string().nullable(),
  trained_tokens: z.number().nullable(),
  finished_at: z.number().nullable(),
  created_at: z.number(),
  result_files: z.array(z.string()),
  model: z.string(),
  training_file: z.string(),
  metadata: z.record(z.string(), z.string()).nullable(),
  gateway: z.looseObject({
    provider: z.string(),
    virtual_key: z.string(),
    sandbox: z.boolean(),
    provider_job_id: z.string().nullable(),
    raw_status: z.string().nullable(),
    phase: z.string(),
    cancel_requested: z.boolean(),
    provider_unreachable_since: z.number().nullable(),
    last_error: lastErrorSchema.nullable(),
  }),
});
const eventSchema = z.looseObject({
  id: z.string(),
  message: z.string(),
  level: z.string(),
  type: z.string(),
  created_at: z.number(),
  data: z.record(z.string(), z.unknown()).nullish(),
});
const checkpointSchema = z.looseObject({ id: z.string(), step_number: z.number() });
const errorSchema = z.strictObject({
  error: z.strictObject({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

export type Job = z.output<typeof jobSchema>;
export type JobEvent = z.output<typeof eventSchema>;
export type JobCheckpoint = z.output<typeof checkpointSchema>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface CallOptions {
  readonly json?: unknown;
  readonly body?: string | FormData;
  readonly headers?: Readonly<Record<string, string>>;
  /** Without the gateway key. */
  readonly anonymous?: boolean;
}

export type GatewayClient = ReturnType<typeof createGatewayClient>;

/** Where a gateway is now; a function, for a restart moves it. */
export type GatewayAddress = () => { readonly url: string; readonly apiKey: string };

const TERMINAL = ['succeeded', 'failed', 'cancelled'];
const PAGE = 100;

/**
 * Calls a gateway as curl would. Every answer must carry `x-request-id` and be what OpenAI's published document says of
 * its route; an error must be the envelope.
 */
export function createGatewayClient(address: GatewayAddress) {
  const schemas = loadOpenAiSchemas();

  const call = async (method: string, path: string, options: CallOptions = {}): Promise<Answer> => {
    const { url, apiKey } = address();
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(options.anonymous === true ? {} : { 'x-portkey-api-key': apiKey }),
        ...(options.json === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.json === undefined ? {} : { body: JSON.stringify(options.json) }),
      ...(options.body === undefined ? {} : { body: options.body }),
    });
    const answer = { status: response.status, headers: response.headers, text: await response.text() };
    if ((answer.headers.get('x-request-id') ?? '') === '') throw new Error(`${method} ${path}: no x-request-id`);
    checkShape(method, path, answer);
    return answer;
  };

  const checkShape = (method: string, path: string, answer: Answer): void => {
    const name = answer.status >= 400 ? 'ErrorResponse' : schemaOf(method, path);
    if (name === null || path === '/readyz') return;
    const body: unknown = JSON.parse(answer.text);
    // OpenAI's document has no null for the ids of an empty list.
    if (name === 'ListFilesResponse' && z.object({ data: z.tuple([]) }).safeParse(body).success) return;
    const problems = schemas.problems(name, body);
    if (problems.length > 0) throw new Error(`${method} ${path}: ${problems.join('; ')}\n${answer.text}`);
  };

  const ok = async (method: string, path: string, options: CallOptions = {}): Promise<unknown> => {
    const answer = await call(method, path, options);
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return JSON.parse(answer.text);
  };

  const pages = async <Item extends { id: string }>(path: string, item: z.ZodType<Item>): Promise<Item[]> => {
    const page = z.object({ data: z.array(item), has_more: z.boolean() });
    const items: Item[] = [];
    for (let after = ''; ; after = `&after=${items.at(-1)?.id ?? ''}`) {
      const { data, has_more: hasMore } = page.parse(await ok('GET', `${path}?limit=${PAGE}${after}`));
      items.push(...data);
      if (!hasMore) return items;
    }
  };

  const jobPath = (id: string): string => `/v1/fine_tuning/jobs/${id}`;
  const job = async (id: string): Promise<Job> => jobSchema.parse(await ok('GET', jobPath(id)));

  return {
    call,
    job,

    /** The error of an answer that must be one. */
    errorOf: (answer: Answer) => errorSchema.parse(JSON.parse(answer.text)).error,

    async upload(content: string, filename = 'dataset.jsonl', purpose = 'fine-tune'): Promise<string> {
      const form = new FormData();
      form.set('purpose', purpose);
      form.set('file', new Blob([content]), filename);
      return z.looseObject({ id: z.string() }).parse(await ok('POST', '/v1/files', { body: form })).id;
    },

    /** A virtual key for the OpenAI emulator, with a credential of its own: its jobs there are nobody else's. */
    async newVirtualKey(
      emulators: Pick<EmulatorControl, 'openAiUrl'>,
      options: { readonly key?: string; readonly slug?: string } = {},
    ): Promise<{ readonly slug: string; readonly key: string }> {
      const name = `t-${randomBytes(6).toString('hex')}`;
      const key = options.key ?? `sk-${name}-0123456789`;
      const slug = options.slug ?? name;
      const json = { name, slug, provider: 'openai', key, custom_host: emulators.openAiUrl };
      await ok('POST', '/v1/virtual-keys', { json });
      return { slug, key };
    },

    async create(
      body: Readonly<Record<string, unknown>> & { readonly virtualKey: string },
      headers: Readonly<Record<string, string>> = {},
    ): Promise<Job> {
      const { virtualKey, portkey_options: more, ...rest } = body;
      const options = { 'x-portkey-virtual-key': virtualKey, ...z.record(z.string(), z.string()).parse(more ?? {}) };
      const json = { model: 'gpt-4o-mini', portkey_options: options, ...rest };
      return jobSchema.parse(await ok('POST', '/v1/fine_tuning/jobs', { json, headers }));
    },

    async act(id: string, action: 'cancel' | 'pause' | 'resume'): Promise<Job> {
      return jobSchema.parse(await ok('POST', `${jobPath(id)}/${action}`));
    },

    /** Oldest first. */
    events: async (id: string): Promise<JobEvent[]> => (await pages(`${jobPath(id)}/events`, eventSchema)).reverse(),
    checkpoints: (id: string): Promise<JobCheckpoint[]> => pages(`${jobPath(id)}/checkpoints`, checkpointSchema),
    content: async (fileId: string): Promise<string> => (await call('GET', `/v1/files/${fileId}/content`)).text,

    /** Waits until the job is as described, and answers it. */
    whenJob: (id: string, what: string, is: (job: Job) => boolean, options?: UntilOptions): Promise<Job> =>
      until(
        `${id}: ${what}`,
        async () => {
          const seen = await job(id);
          if (is(seen)) return seen;
          if (TERMINAL.includes(seen.status)) throw new Error(`it ended instead: ${JSON.stringify(seen)}`);
          throw new Error(JSON.stringify(seen));
        },
        options,
      ),

    /** Waits for the end, and answers the job. */
    whenEnded: (id: string, options?: UntilOptions): Promise<Job> =>
      until(
        `the end of ${id}`,
        async () => {
          const seen = await job(id);
          if (TERMINAL.includes(seen.status)) return seen;
          throw new Error(JSON.stringify(seen));
        },
        options,
      ),

    /** A training file of so many rows. */
    async dataset(rows = 10, marker?: string): Promise<string> {
      return this.upload(chatRows(rows, marker));
    },
  };
}

const SCHEMAS: readonly (readonly [method: string, path: RegExp, name: string])[] = [
  ['POST', /^\/v1\/files$/, 'OpenAIFile'],
  ['GET', /^\/v1\/files$/, 'ListFilesResponse'],
  ['GET', /^\/v1\/files\/[^/]+$/, 'OpenAIFile'],
  ['DELETE', /^\/v1\/files\/[^/]+$/, 'DeleteFileResponse'],
  ['POST', /^\/v1\/uploads(\/[^/]+\/(complete|cancel))?$/, 'Upload'],
  ['POST', /^\/v1\/uploads\/[^/]+\/parts$/, 'UploadPart'],
  ['POST', /^\/v1\/fine_tuning\/jobs$/, 'FineTuningJob'],
  ['GET', /^\/v1\/fine_tuning\/jobs$/, 'ListPaginatedFineTuningJobsResponse'],
  ['GET', /^\/v1\/fine_tuning\/jobs\/[^/]+$/, 'FineTuningJob'],
  ['POST', /^\/v1\/fine_tuning\/jobs\/[^/]+\/(cancel|resume)$/, 'FineTuningJob'],
  ['GET', /^\/v1\/fine_tuning\/jobs\/[^/]+\/events$/, 'ListFineTuningJobEventsResponse'],
  ['GET', /^\/v1\/fine_tuning\/jobs\/[^/]+\/checkpoints$/, 'ListFineTuningJobCheckpointsResponse'],
];

function schemaOf(method: string, path: string): string | null {
  const route = path.split('?')[0] ?? path;
  return SCHEMAS.find(([verb, pattern]) => verb === method && pattern.test(route))?.[2] ?? null;
}
