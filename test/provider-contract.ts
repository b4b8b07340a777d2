import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startEmulators, type RunningEmulators } from '../emulators/main.js';
import { GatewayError, type ErrorCode } from '../src/domain/errors.js';
import type { JobRequest } from '../src/domain/job.js';
import type { JsonObject, JsonValue } from '../src/domain/json.js';
import type { FineTuningProvider, ProviderDefinition, RemoteJob } from '../src/domain/provider-port.js';
import { CONTRACT_JOB_ID, datasetBytes, gatewayErrorOf, inPieces, uploadInput } from './support/contract-inputs.js';

/** What the suite must know of a vendor beside its definition. */
export interface ProviderContract {
  readonly definition: ProviderDefinition;
  /** Settings that the emulator accepts, in any spelling; the credential under test is in them. */
  settings(emulatorsUrl: string): JsonObject;
  /** A secret of those settings that no error may repeat. */
  readonly secret: string;
  /** A model that the emulator tunes, and one that it does not have. */
  readonly model: string;
  readonly unknownModel: string;
  /** The vendor's names for the calls that the faults hit. */
  readonly operations: { readonly create: string; readonly get: string; readonly upload: string };
  /** The metadata, labels or name in `created_with` that carry the marker of the job with this id. */
  carriesMarker(createdWith: unknown, jobId: string): boolean;
}

const requestsReply = z.object({
  data: z.array(z.looseObject({ operation: z.string(), credential: z.string().nullish() })),
});
const jobsReply = z.object({
  data: z.array(z.looseObject({ id: z.string(), state: z.string(), created_with: z.unknown() })),
});

/** What every provider does alike, run against its emulator. */
export function describeProviderContract(contract: ProviderContract): void {
  const { definition, operations } = contract;
  const { capabilities } = definition;
  const provider = definition.name;

  describe(`the provider contract of ${provider}`, () => {
    let emulators: RunningEmulators;
    let vendor: FineTuningProvider;
    const never = new AbortController().signal;

    const send = async (method: string, path: string, body?: JsonValue): Promise<unknown> => {
      const response = await fetch(`${emulators.url}/__emulator${path}`, {
        method,
        ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      const text = await response.text();
      return text === '' ? undefined : JSON.parse(text);
    };
    const post = (path: string, body: JsonValue): Promise<unknown> => send('POST', path, body);
    const advance = (seconds: number): Promise<unknown> => post('/clock', { advance_seconds: seconds });
    const force = (job: RemoteJob, state: string): Promise<unknown> =>
      post(`/jobs/${encodeURIComponent(job.id)}`, { state });
    const fault = (operation: string, kind: string, more: JsonObject = {}): Promise<unknown> =>
      post('/faults', { provider, operation, kind, times: 1, ...more });
    const jobsThere = async () => jobsReply.parse(await send('GET', `/jobs?provider=${provider}`)).data;
    const callsTo = async (operation: string) =>
      requestsReply
        .parse(await send('GET', `/requests?provider=${provider}`))
        .data.filter((call) => call.operation === operation);

    const request = (more: Partial<JobRequest> = {}): JobRequest => ({
      model: contract.model,
      trainingFile: 'file-ours',
      seed: 42,
      method: { type: 'supervised', hyperparameters: { nEpochs: 3 } },
      ...more,
    });
    const submit = async (more: Partial<JobRequest> = {}, jobId = CONTRACT_JOB_ID) => {
      const file = await vendor.uploadDataset(uploadInput(datasetBytes(), { jobId }), never);
      const submission = { jobId, request: request(more), files: { training: file.id } };
      return { submission, job: await vendor.createJob(submission, never) };
    };
    /** Lets time pass at the vendor until the job has the status. */
    const until = async (job: RemoteJob, status: string): Promise<RemoteJob> => {
      for (let second = 0; second < 120; second += 1) {
        const current = await vendor.getJob(job.id, never);
        if (current.status === status) return current;
        await advance(1);
      }
      throw new Error(`the job did not become ${status}`);
    };

    beforeAll(async () => {
      emulators = await startEmulators({ port: 0 });
    });
    afterAll(() => emulators.close());
    beforeEach(async () => {
      await send('POST', '/reset');
      vendor = definition.connect(definition.settings.parse(contract.settings(emulators.url)));
    });

    describe('datasets', () => {
      it('uploads once, and finds what an attempt without an answer uploaded', async () => {
        const bytes = datasetBytes(40);
        await fault(operations.upload, 'execute-then-timeout', { delay_ms: 1 });
        const error = await gatewayErrorOf(vendor.uploadDataset(uploadInput(bytes), never));
        expect(error).toMatchObject({ code: 'provider_unavailable', retryable: true });
        const first = await vendor.uploadDataset(uploadInput(bytes), never);
        const second = await vendor.uploadDataset(uploadInput(bytes), never);
        expect(second).toEqual(first);
        expect(await callsTo(operations.upload)).toHaveLength(1);
      });

      it('keeps files of other roles, jobs and sizes apart', async () => {
        const bytes = datasetBytes();
        const inputs = [
          uploadInput(bytes),
          uploadInput(bytes, { role: 'validation' }),
          uploadInput(bytes, { jobId: `${CONTRACT_JOB_ID.slice(0, -1)}1` }),
          uploadInput(datasetBytes(13)),
        ];
        const ids = new Set<string>();
        for (const input of inputs) ids.add((await vendor.uploadDataset(input, never)).id);
        expect(ids.size).toBe(inputs.length);
      });

      it('passes on what reading the content throws', async () => {
        const failure = new GatewayError('storage_unavailable', 'The file store does not answer.');
        async function* broken(): AsyncIterable<Uint8Array> {
          yield datasetBytes().subarray(0, 100);
          await Promise.reject(failure);
        }
        const input = uploadInput(datasetBytes(), { content: broken() });
        await expect(vendor.uploadDataset(input, never)).rejects.toBe(failure);
        const short = uploadInput(datasetBytes(), { content: inPieces(datasetBytes().subarray(0, 150)) });
        expect(await gatewayErrorOf(vendor.uploadDataset(short, never))).toMatchObject({
          code: 'file_content_missing',
        });
      });

      it('deletes a file, and takes a file that is not there for deleted', async () => {
        const file = await vendor.uploadDataset(uploadInput(datasetBytes()), never);
        const since = new Date().toISOString();
        expect(await vendor.findDatasets(CONTRACT_JOB_ID, since, never)).toContainEqual(file);
        await vendor.deleteFile(file.id, never);
        await vendor.deleteFile(file.id, never);
        expect(await vendor.findDatasets(CONTRACT_JOB_ID, since, never)).not.toContainEqual(file);
        expect((await vendor.uploadDataset(uploadInput(datasetBytes()), never)).id).not.toBe(file.id);
      });
    });

    describe('create', () => {
      it('makes a job that carries the marker and can be found by it', async () => {
        const { submission, job } = await submit();
        const marker = { jobId: CONTRACT_JOB_ID, files: submission.files };
        expect((await vendor.findJobs(marker, never)).map((found) => found.id)).toEqual([job.id]);
        expect(await vendor.findJobs({ ...marker, jobId: 'ftjob-another', files: {} }, never)).toEqual([]);
        const [created] = await jobsThere();
        expect(contract.carriesMarker(created?.created_with, CONTRACT_JOB_ID)).toBe(true);
        expect(job.status).not.toBeNull();
      });

      it('lists jobs with the marker oldest first', async () => {
        const { submission, job } = await submit();
        await advance(5);
        const second = await vendor.createJob(submission, never);
        await advance(5);
        const third = await vendor.createJob(submission, never);
        const found = await vendor.findJobs({ jobId: CONTRACT_JOB_ID, files: submission.files }, never);
        expect(found.map((one) => one.id)).toEqual([job.id, second.id, third.id]);
      });

      it('sends a create once, and the job of a lost answer is found', async () => {
        const file = await vendor.uploadDataset(uploadInput(datasetBytes()), never);
        const submission = { jobId: CONTRACT_JOB_ID, request: request(), files: { training: file.id } };
        await fault(operations.create, 'execute-then-timeout', { delay_ms: 1 });
        const error = await gatewayErrorOf(vendor.createJob(submission, never));
        expect(error).toMatchObject({ code: 'provider_unavailable', retryable: true });
        expect(await vendor.findJobs({ jobId: CONTRACT_JOB_ID, files: submission.files }, never)).toHaveLength(1);
        expect(await callsTo(operations.create)).toHaveLength(1);
      });

      it('says of a model that the vendor does not have that it is not available', async () => {
        expect(await vendor.canTune(contract.unknownModel, never)).toBe('unlisted');
        expect(['tunable', 'unknown']).toContain(await vendor.canTune(contract.model, never));
        const error = await gatewayErrorOf(submit({ model: contract.unknownModel }));
        expect(error).toMatchObject({ code: 'model_not_available', retryable: false, provider });
      });

      it('asks the vendor for the provider’s model where that differs', async () => {
        await submit({ model: 'what the caller calls it', providerModel: contract.model });
        expect(await jobsThere()).toHaveLength(1);
      });
    });

    describe('watching', () => {
      it('follows a job to its end, with model, tokens and results', async () => {
        const { job } = await submit();
        const done = await until(job, 'succeeded');
        expect(done).toMatchObject({
          id: job.id,
          error: null,
          fineTunedModel: expect.any(String),
          finishedAt: expect.any(String),
        });
        expect(JSON.parse(JSON.stringify(done))).toEqual(done);
        const [reference] = done.resultFiles;
        const result = await vendor.openResult(reference ?? '', never);
        const pieces = [];
        for await (const piece of result.content) pieces.push(piece);
        expect(result.fileName).toMatch(/\.csv$/);
        expect(Buffer.concat(pieces).toString()).toMatch(/^step,train_loss,.*\n1,\d/);
      });

      it('tells events oldest first, each once, from any event on', async () => {
        const { job } = await submit({
          method: { type: 'supervised', hyperparameters: { nEpochs: 12, batchSize: 1 } },
        });
        const seen = [...(await vendor.listEvents(job.id, null, never))];
        const running = await until(job, 'running');
        seen.push(...(await vendor.listEvents(running.id, seen.at(-1)?.id ?? null, never)));
        await until(job, 'succeeded');
        await advance(60);
        seen.push(...(await vendor.listEvents(job.id, seen.at(-1)?.id ?? null, never)));
        const all = await vendor.listEvents(job.id, null, never);
        expect(seen).toEqual(all);
        expect(new Set(all.map((event) => event.id)).size).toBe(all.length);
        expect(all.map((event) => event.createdAt)).toEqual(all.map((event) => event.createdAt).sort());
        expect(await vendor.listEvents(job.id, all.at(-1)?.id ?? null, never)).toEqual([]);
        expect(all.some((event) => event.type === 'metrics')).toBe(true);
        // More than one page at vendors with events of their own.
        if (capabilities.events === 'native') expect(all.length).toBeGreaterThan(100);
      });

      if (capabilities.checkpoints !== 'none') {
        it('tells checkpoints by step', async () => {
          const { job } = await submit();
          await until(job, 'succeeded');
          const checkpoints = await vendor.listCheckpoints(job.id, never);
          const steps = checkpoints.map((checkpoint) => checkpoint.stepNumber);
          expect(steps.length).toBeGreaterThan(1);
          expect(steps).toEqual([...steps].sort((first, second) => first - second));
          expect(checkpoints.every((checkpoint) => checkpoint.metrics['train_loss'] !== undefined)).toBe(true);
        });
      }

      it('gives no status to a state that it does not know', async () => {
        const { job } = await submit();
        await force(job, 'pondering');
        expect(await vendor.getJob(job.id, never)).toMatchObject({ status: null, rawStatus: 'pondering', error: null });
      });

      it('says why a job failed', async () => {
        const { job } = await submit();
        await post(`/jobs/${encodeURIComponent(job.id)}`, {
          state: 'failed',
          error: { code: 'invalid_file_format', message: 'Line 3 is wrong.', param: 'training_file' },
        });
        expect((await vendor.getJob(job.id, never)).error).toMatchObject({
          message: expect.stringContaining('Line 3 is wrong.'),
        });
      });

      it('does not know a job that is not there', async () => {
        const missing = 'ftjob-doesnotexist';
        for (const call of [
          vendor.getJob(missing, never),
          vendor.cancelJob(missing, never),
          vendor.listEvents(missing, null, never),
        ]) {
          expect(await gatewayErrorOf(call)).toMatchObject({ code: 'provider_not_found', retryable: false });
        }
      });
    });

    describe('control', () => {
      it('cancels a job, and says of a finished one that it is too late', async () => {
        const { job } = await submit();
        await vendor.cancelJob(job.id, never);
        expect((await until(job, 'cancelled')).status).toBe('cancelled');
        expect(await gatewayErrorOf(vendor.cancelJob(job.id, never))).toMatchObject({
          code: 'provider_wrong_state',
          retryable: false,
        });
      });

      if (capabilities.pause) {
        it('pauses and resumes a running job, and no other', async () => {
          const { job } = await submit();
          expect(await gatewayErrorOf(vendor.resumeJob(job.id, never))).toMatchObject({ code: 'provider_wrong_state' });
          await until(job, 'running');
          await vendor.pauseJob(job.id, never);
          await until(job, 'paused');
          expect(await gatewayErrorOf(vendor.pauseJob(job.id, never))).toMatchObject({ code: 'provider_wrong_state' });
          await vendor.resumeJob(job.id, never);
          await until(job, 'succeeded');
        });
      } else {
        it('refuses to pause and resume without a call', async () => {
          const { job } = await submit();
          expect(await gatewayErrorOf(vendor.pauseJob(job.id, never))).toMatchObject({ code: 'unsupported_operation' });
          expect(await gatewayErrorOf(vendor.resumeJob(job.id, never))).toMatchObject({
            code: 'unsupported_operation',
          });
        });
      }
    });

    describe('failures', () => {
      it.each<[string, string, JsonObject, ErrorCode, boolean]>([
        ['no answer', 'timeout', { delay_ms: 1 }, 'provider_unavailable', true],
        ['a reset connection', 'reset', {}, 'provider_unavailable', true],
        ['a 500', 'status', { status: 500 }, 'provider_unavailable', true],
        ['a 503', 'status', { status: 503 }, 'provider_unavailable', true],
        ['a 429', 'status', { status: 429 }, 'provider_rate_limited', true],
        ['a body that breaks off', 'malformed', {}, 'provider_invalid_response', true],
        ['a proxy’s page of HTML', 'html', {}, 'provider_unavailable', true],
      ])('names %s', async (_what, kind, more, code, retryable) => {
        const { job } = await submit();
        await fault(operations.get, kind, more);
        const error = await gatewayErrorOf(vendor.getJob(job.id, never));
        expect(error).toMatchObject({ code, retryable, provider });
        expect((await vendor.getJob(job.id, never)).id).toBe(job.id);
      });

      it('waits as long as the vendor asks', async () => {
        const { job } = await submit();
        await fault(operations.get, 'status', { status: 429, retry_after: 7 });
        expect(await gatewayErrorOf(vendor.getJob(job.id, never))).toMatchObject({
          retryAfterMs: 7000,
          providerStatus: 429,
        });
      });

      it('waits patiently for an answer that is slow', async () => {
        const { job } = await submit();
        await fault(operations.get, 'slow', { delay_ms: 100 });
        expect((await vendor.getJob(job.id, never)).id).toBe(job.id);
      });

      it('says that the credentials were refused, and never repeats them', async () => {
        const { job } = await submit();
        const [call] = await callsTo(operations.create);
        await post('/settings', { provider, revoked_credentials: [call?.credential ?? ''] });
        const error = await gatewayErrorOf(vendor.getJob(job.id, never));
        expect(error).toMatchObject({ code: 'provider_auth_error', retryable: false });
        expect(`${error.message} ${error.stack ?? ''} ${JSON.stringify(error)}`).not.toContain(contract.secret);
      });

      it('ends with the signal’s reason, and makes no call once it is aborted', async () => {
        const { job } = await submit();
        const controller = new AbortController();
        const reason = new Error('the activity was cancelled');
        await fault(operations.get, 'slow', { delay_ms: 20_000 });
        const pending = vendor.getJob(job.id, controller.signal);
        setTimeout(() => controller.abort(reason), 50);
        await expect(pending).rejects.toBe(reason);
        const before = (await callsTo(operations.get)).length;
        await expect(vendor.getJob(job.id, controller.signal)).rejects.toBe(reason);
        expect(await callsTo(operations.get)).toHaveLength(before);
      });
    });
  });
}
