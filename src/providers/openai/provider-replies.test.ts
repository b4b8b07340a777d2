import { afterEach, describe, expect, it, vi } from 'vitest';
import { gatewayErrorOf } from '../../../test/support/contract-inputs.js';
import type { FineTuningProvider, JobSubmission } from '../../domain/provider-port.js';
import { createOpenAIProvider } from './provider.js';

const SECRET = 'sk-proj-abcdefghijklmnop';
const never = new AbortController().signal;
const SUBMISSION: JobSubmission = {
  jobId: 'ftjob-ours',
  request: { model: 'gpt-x', trainingFile: 'f', seed: 1, method: { type: 'supervised', hyperparameters: {} } },
  files: { training: 'file-theirs' },
};

interface Call {
  readonly url: URL;
  readonly headers: Headers;
}

/** OpenAI as a function of the request. */
function openaiThat(answer: (call: Call, index: number) => Response | Promise<Response>) {
  const calls: Call[] = [];
  const fetch = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const call = { url: new URL(input instanceof Request ? input.url : input), headers: new Headers(init?.headers) };
    calls.push(call);
    return Promise.resolve(answer(call, calls.length - 1));
  };
  const vendor: FineTuningProvider = createOpenAIProvider({ apiKey: SECRET }, { fetch });
  return { vendor, calls };
}

const refusal = (status: number, error: unknown, headers: Record<string, string> = {}): Response =>
  Response.json({ error }, { status, headers: { 'x-request-id': 'req_1', ...headers } });
const html = (status: number): Response =>
  new Response('<html>Not here</html>', { status, headers: { 'content-type': 'text/html' } });
const pairs = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, 'value']));

describe('OpenAI’s refusals', () => {
  it.each<[string, Response, Record<string, unknown>]>([
    [
      'a wrong key',
      refusal(401, {
        message: `Incorrect API key provided: ${SECRET.slice(0, 8)}****mnop.`,
        type: 'invalid_request_error',
        param: null,
        code: 'invalid_api_key',
      }),
      { code: 'provider_auth_error', retryable: false, rawCode: 'invalid_api_key' },
    ],
    [
      'an organisation that may not',
      refusal(403, { message: 'Not allowed.', type: 'invalid_request_error', param: null, code: null }),
      { code: 'provider_auth_error', retryable: false },
    ],
    [
      'a model',
      refusal(400, {
        message: 'Model gpt-x is not available for fine-tuning or does not exist.',
        type: 'invalid_request_error',
        param: null,
        code: null,
      }),
      { code: 'model_not_available', param: 'model' },
    ],
    [
      'a file',
      refusal(400, {
        message: 'invalid training_file: file-1',
        type: 'invalid_request_error',
        param: 'training_file',
        code: null,
      }),
      {
        code: 'provider_bad_request',
        param: 'training_file',
        retryable: false,
        providerRequestId: 'req_1',
        providerStatus: 400,
      },
    ],
    [
      'too many calls',
      refusal(429, { message: 'Slow down.', code: 'rate_limit_exceeded' }, { 'retry-after': '3' }),
      { code: 'provider_rate_limited', retryAfterMs: 3000, retryable: true },
    ],
    [
      'a spent quota',
      refusal(429, {
        message: 'You exceeded your current quota.',
        type: 'insufficient_quota',
        code: 'insufficient_quota',
      }),
      { code: 'provider_quota_exceeded', retryable: true, retryAfterMs: undefined },
    ],
    ['a conflict', refusal(409, { message: 'Locked.' }), { code: 'provider_conflict', retryable: false }],
    [
      'its own fault',
      refusal(500, { message: 'Sorry.', type: 'server_error' }),
      { code: 'provider_unavailable', retryable: true },
    ],
    ['an early moment', refusal(425, { message: 'Too early.' }), { code: 'provider_unavailable', retryable: true }],
    ['too much', new Response('', { status: 413 }), { code: 'provider_bad_request', retryable: false }],
    [
      'a flat refusal',
      Response.json({ message: 'No.' }, { status: 403 }),
      { code: 'provider_auth_error', retryable: false },
    ],
    ['an empty 404', new Response('', { status: 404 }), { code: 'provider_invalid_response', retryable: true }],
    ['a page instead of a job', html(200), { code: 'provider_invalid_response', retryable: true }],
    ['a page instead of a 404', html(404), { code: 'provider_invalid_response', retryable: true }],
    ['JSON that is no job', Response.json([]), { code: 'provider_invalid_response', retryable: true }],
  ])('name %s', async (_what, response, expected) => {
    const { vendor, calls } = openaiThat(() => response);
    const error = await gatewayErrorOf(vendor.createJob(SUBMISSION, never));
    expect(error).toMatchObject({ provider: 'openai', ...expected });
    expect(error.message).not.toMatch(/sk-proj|mnop/);
    expect(calls).toHaveLength(1);
  });

  it('are told apart from a wrong state by what was asked', async () => {
    const late = () =>
      refusal(400, { message: 'Job has already completed.', type: 'invalid_request_error', code: null });
    const { vendor } = openaiThat(late);
    expect((await gatewayErrorOf(vendor.cancelJob('ftjob-1', never))).code).toBe('provider_wrong_state');
    expect((await gatewayErrorOf(vendor.getJob('ftjob-1', never))).code).toBe('provider_bad_request');
  });

  it('that name a date are waited out until then', async () => {
    const { vendor } = openaiThat(() =>
      refusal(503, { message: 'x' }, { 'retry-after': new Date(Date.now() + 60_000).toUTCString() }),
    );
    const { retryAfterMs } = await gatewayErrorOf(vendor.getJob('ftjob-1', never));
    expect(retryAfterMs).toBeGreaterThan(50_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it('to be connected to are retryable', async () => {
    const { vendor } = openaiThat(() =>
      Promise.reject(new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code: 'ECONNREFUSED' }) })),
    );
    expect(await gatewayErrorOf(vendor.getJob('ftjob-1', never))).toMatchObject({
      code: 'provider_unavailable',
      message: 'OpenAI cannot be reached: ECONNREFUSED.',
    });
  });

  it('in the middle of a body are retryable', async () => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"id":'));
        controller.error(new TypeError('terminated'));
      },
    });
    const { vendor } = openaiThat(() => new Response(body, { headers: { 'content-type': 'application/json' } }));
    expect(await gatewayErrorOf(vendor.getJob('ftjob-1', never))).toMatchObject({
      code: 'provider_unavailable',
      retryable: true,
    });
  });
});

describe('findJobs', () => {
  it('takes no page of HTML for an empty list', async () => {
    const { vendor } = openaiThat(() => html(200));
    const marker = { jobId: 'ftjob-ours', files: {} };
    expect((await gatewayErrorOf(vendor.findJobs(marker, never))).code).toBe('provider_invalid_response');
  });

  it('checks each job where the filter is ignored, and reads all pages', async () => {
    const job = (id: string, createdAt: number, owner: string) => ({
      id,
      status: 'queued',
      created_at: createdAt,
      metadata: { gateway_job_id: owner },
    });
    const { vendor, calls } = openaiThat(({ url }) =>
      url.searchParams.get('after') === null
        ? Response.json({ data: [job('c', 30, 'ftjob-ours'), job('b', 20, 'ftjob-other')], has_more: true })
        : Response.json({ data: [job('a', 10, 'ftjob-ours')], has_more: false }),
    );
    const found = await vendor.findJobs({ jobId: 'ftjob-ours', files: {} }, never);
    expect(found.map(({ id }) => id)).toEqual(['a', 'c']);
    expect(
      calls.map(({ url }) => [url.searchParams.get('metadata[gateway_job_id]'), url.searchParams.get('after')]),
    ).toEqual([
      ['ftjob-ours', null],
      ['ftjob-ours', 'b'],
    ]);
  });

  it('finds a job without room for the marker by its file, and looks no further back than the file', async () => {
    const page = (ids: readonly string[], createdAt: number) =>
      Response.json({
        data: ids.map((id) => ({
          id,
          created_at: createdAt,
          training_file: id.startsWith('ours') ? 'file-theirs' : 'file-else',
          metadata: pairs(id === 'ours-but-not-full' ? 15 : 16),
        })),
        has_more: true,
      });
    const { vendor, calls } = openaiThat(({ url }) => {
      if (url.pathname.endsWith('/files/file-theirs')) return Response.json({ id: 'file-theirs', created_at: 1000 });
      if (url.searchParams.has('metadata[gateway_job_id]')) return Response.json({ data: [], has_more: false });
      return url.searchParams.get('after') === null
        ? page(['ours-but-not-full', 'ours', 'other'], 1500)
        : page(['older'], 900);
    });
    const found = await vendor.findJobs({ jobId: 'ftjob-ours', files: { training: 'file-theirs' } }, never);
    expect(found.map(({ id }) => id)).toEqual(['ours']);
    expect(calls).toHaveLength(4);
  });
});

describe('uploadDataset', () => {
  const input = (content: AsyncIterable<Uint8Array>, sizeBytes: number) => ({
    jobId: 'ftjob-ours',
    role: 'training' as const,
    content,
    sizeBytes,
    since: '2026-11-23T12:00:00.000Z',
    resumeFrom: undefined,
    saveProgress: vi.fn(),
    heartbeat: vi.fn(),
  });
  const since = Date.parse('2026-11-23T12:00:00.000Z') / 1000;
  async function* nothing(): AsyncIterable<Uint8Array> {
    yield* await Promise.resolve([]);
  }

  it('adopts an earlier whole upload, and reads no further back than an hour before the job', async () => {
    const name = 'ftjob-ours-training.jsonl';
    const file = (id: string, more: object) => ({
      id,
      filename: name,
      bytes: 9,
      created_at: since,
      status: 'processed',
      ...more,
    });
    const { vendor, calls } = openaiThat(() =>
      Response.json({
        data: [
          file('short', { bytes: 4 }),
          file('failed', { status: 'error' }),
          file('other', { filename: 'x.jsonl' }),
          file('whole', {}),
          file('older', {}),
        ],
        has_more: true,
      }),
    );
    expect(await vendor.uploadDataset(input(nothing(), 9), never)).toEqual({ id: 'whole' });
    expect(calls).toHaveLength(1);
    const old = openaiThat(({ url }, index) =>
      index === 0 && url.searchParams.get('purpose') === 'fine-tune'
        ? Response.json({ data: [file('ancient', { created_at: since - 3601 })], has_more: true })
        : Response.json({ id: 'new', bytes: 0 }),
    );
    expect(await old.vendor.uploadDataset(input(nothing(), 0), never)).toEqual({ id: 'new' });
    expect(old.calls).toHaveLength(2);
  });

  it('refuses a file that arrived with another size', async () => {
    const { vendor } = openaiThat((_call, index) =>
      Response.json(index === 0 ? { data: [], has_more: false } : { id: 'file-1', bytes: 5 }),
    );
    expect((await gatewayErrorOf(vendor.uploadDataset(input(nothing(), 0), never))).code).toBe(
      'provider_invalid_response',
    );
  });
});

describe('openResult', () => {
  const csv =
    'step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,1.52347,0.0,,\n2,1.4,0.5,1.6,0.4\n';
  const read = async (body: string, pieceBytes: number): Promise<string> => {
    const bytes = new TextEncoder().encode(body);
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let start = 0; start < bytes.length; start += pieceBytes)
          controller.enqueue(bytes.slice(start, start + pieceBytes));
        controller.close();
      },
    });
    const { vendor } = openaiThat(({ url }) =>
      url.pathname.endsWith('/content')
        ? new Response(stream)
        : Response.json({ id: 'file-1', filename: 'step_metrics.csv' }),
    );
    const result = await vendor.openResult('file-1', never);
    const pieces = [];
    for await (const piece of result.content) pieces.push(piece);
    expect(result.fileName).toBe('step_metrics.csv');
    return Buffer.concat(pieces).toString();
  };

  it.each([1, 5, 64, 10_000])('gives plain CSV, encoded or not, in pieces of %i bytes', async (pieceBytes) => {
    const encoded = Buffer.from(csv).toString('base64');
    expect(await read(csv, pieceBytes)).toBe(csv);
    expect(await read(encoded, pieceBytes)).toBe(csv);
    expect(await read(encoded.replace(/.{76}/g, '$&\r\n'), pieceBytes)).toBe(csv);
    expect(await read('step\n', pieceBytes)).toBe('step\n');
  });

  it('refuses what is neither, and says of a missing file that it may come', async () => {
    expect((await gatewayErrorOf(read('%PDF-1.7', 3))).code).toBe('provider_invalid_response');
    const { vendor } = openaiThat(() =>
      refusal(404, { message: 'No such File object: file-1', param: 'id', code: null }),
    );
    expect(await gatewayErrorOf(vendor.openResult('file-1', never))).toMatchObject({
      code: 'provider_result_missing',
      retryable: true,
    });
  });
});

describe('the client', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('takes address and account from the settings alone, whatever the environment says', async () => {
    for (const name of [
      'OPENAI_BASE_URL',
      'OPENAI_ORG_ID',
      'OPENAI_PROJECT_ID',
      'OPENAI_ADMIN_KEY',
      'OPENAI_API_KEY',
    ]) {
      vi.stubEnv(name, 'http://stray.example');
    }
    vi.stubEnv(
      'OPENAI_CUSTOM_HEADERS',
      'authorization: Bearer stray\nopenai-organization: org-stray\nopenai-beta: stray',
    );
    const plain = openaiThat(() => Response.json({ id: 'ftjob-1' }));
    await plain.vendor.getJob('ftjob-1', never);
    expect(plain.calls[0]?.url.href).toBe('https://api.openai.com/v1/fine_tuning/jobs/ftjob-1');
    expect(plain.calls[0]?.headers.get('authorization')).toBe(`Bearer ${SECRET}`);
    for (const name of ['openai-organization', 'openai-project', 'openai-beta']) {
      expect(plain.calls[0]?.headers.get(name)).toBeNull();
    }
    const headers: Headers[] = [];
    const full = createOpenAIProvider(
      {
        apiKey: SECRET,
        baseUrl: 'https://proxy.example/openai/v1',
        organization: 'org-1',
        project: 'proj_1',
        beta: 'b=1',
      },
      {
        fetch: (_input, init) => {
          headers.push(new Headers(init?.headers));
          return Promise.resolve(Response.json({ id: 'ftjob-1' }));
        },
      },
    );
    await full.getJob('ftjob-1', never);
    expect(Object.fromEntries(headers[0] ?? [])).toMatchObject({
      'openai-organization': 'org-1',
      'openai-project': 'proj_1',
      'openai-beta': 'b=1',
    });
  });
});
