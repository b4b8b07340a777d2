import OpenAI, { toStreamingFile } from 'openai';
import { GatewayError } from '../../domain/errors.js';
import type {
  FineTuningProvider,
  JobMarker,
  RemoteEvent,
  RemoteFile,
  RemoteJob,
  UploadInput,
} from '../../domain/provider-port.js';
import { createOpenAICaller, type CallOptions, type ClientOptions } from '../shared/openai-call.js';
import { toRemoteCheckpoint, toRemoteEvent } from '../shared/openai-fine-tuning.js';
import { plainCsv } from '../shared/openai-results.js';
import { createOpenAIUploads, UPLOAD_SIZES, type UploadSizes } from '../shared/openai-uploads.js';
import { countedContent, isBefore, isEarlierUpload, remoteFileName } from './dataset.js';
import { carriesMarker, MARKER_KEY, toCreateBody, toJob, trainsOnMarkedFile, tunability } from './map.js';
import { OPENAI_BASE_URL, type OpenAISettings } from './settings.js';
import {
  checkpointReply,
  deletedReply,
  eventReply,
  fileReply,
  jobReply,
  modelReply,
  type FileReply,
  type JobReply,
} from './wire.js';

const READ_TIMEOUT_MS = 30_000;
/** Shorter than the submit activity's start-to-close time-out of 60 s, so that its outcome is always ours to report. */
const CREATE_TIMEOUT_MS = 30_000;
const TRANSFER_TIMEOUT_MS = 60 * 60 * 1000;
/** The most that the events' list gives; files and jobs take it too. */
const PAGE_SIZE = 100;
/** A job is never older than its training file; both times are OpenAI's. */
const FILE_AGE_SLACK_SECONDS = 60;

/** What tests put in place of the world. */
export interface OpenAIProviderDependencies {
  readonly fetch?: typeof globalThis.fetch;
  readonly now?: () => Date;
  readonly uploadSizes?: UploadSizes;
}

/**
 * OpenAI with one set of settings.
 *
 * @see https://developers.openai.com/api/reference/resources/fine_tuning (read 2026-11-23)
 */
export function createOpenAIProvider(
  settings: OpenAISettings,
  dependencies: OpenAIProviderDependencies = {},
): FineTuningProvider {
  const now = dependencies.now ?? (() => new Date());
  const client = new OpenAI({
    // Everything is said here: what is left out, the client takes from environment variables.
    apiKey: settings.apiKey,
    adminAPIKey: null,
    baseURL: settings.baseUrl ?? OPENAI_BASE_URL,
    organization: settings.organization ?? null,
    project: settings.project ?? null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: READ_TIMEOUT_MS,
    logLevel: 'off',
    // OPENAI_CUSTOM_HEADERS cannot be switched off, but these win over it: whose account it is stays the settings' to say.
    defaultHeaders: {
      Authorization: `Bearer ${settings.apiKey}`,
      'OpenAI-Organization': settings.organization ?? null,
      'OpenAI-Project': settings.project ?? null,
      'OpenAI-Beta': settings.beta ?? null,
    },
    ...(dependencies.fetch === undefined ? {} : { fetch: dependencies.fetch }),
  });
  const caller = createOpenAICaller({ vendor: 'OpenAI', provider: 'openai', secrets: [settings.apiKey] });
  const { inPartsAboveBytes, partBytes } = dependencies.uploadSizes ?? UPLOAD_SIZES;
  const uploads = createOpenAIUploads({ client, caller, vendor: 'OpenAI', provider: 'openai', partBytes, now });
  const reading = (signal: AbortSignal): CallOptions => ({ kind: 'read', timeoutMs: READ_TIMEOUT_MS, signal });

  /** Files that are not older than `since`, newest first. */
  async function* filesSince(since: string, signal: AbortSignal): AsyncGenerator<FileReply> {
    const pages = caller.pages(fileReply, reading(signal), (after, options) =>
      client.get('/files', { ...options, query: { purpose: 'fine-tune', order: 'desc', limit: PAGE_SIZE, after } }),
    );
    for await (const page of pages) {
      for (const file of page) {
        if (isBefore(file, since)) return;
        yield file;
      }
    }
  }

  const findUpload = async (input: UploadInput, fileName: string, signal: AbortSignal): Promise<string | null> => {
    for await (const file of filesSince(input.since, signal)) {
      if (isEarlierUpload(file, fileName, input.sizeBytes)) return file.id;
    }
    return null;
  };

  /** A small file, in one request. */
  const upload = async (input: UploadInput, fileName: string, signal: AbortSignal): Promise<string> => {
    let contentError: { readonly error: unknown } | undefined;
    async function* content(): AsyncGenerator<Uint8Array> {
      try {
        yield* countedContent(input);
      } catch (error) {
        // fetch would report it as a failure of the network.
        contentError = { error };
        throw error;
      }
    }
    const options: CallOptions = { kind: 'upload', timeoutMs: TRANSFER_TIMEOUT_MS, signal };
    try {
      const file = await caller.json(fileReply, options, (clientOptions) =>
        client.files.create(
          { purpose: 'fine-tune', file: toStreamingFile(content(), fileName, { type: 'application/jsonl' }) },
          clientOptions,
        ),
      );
      if (typeof file.bytes === 'number' && file.bytes !== input.sizeBytes) {
        const message = `OpenAI kept ${file.bytes} of the ${input.sizeBytes} bytes of ${fileName}.`;
        throw new GatewayError('provider_invalid_response', message, { provider: 'openai' });
      }
      return file.id;
    } catch (error) {
      if (contentError !== undefined && !signal.aborted) throw contentError.error;
      throw error;
    }
  };

  const listJobs = (
    signal: AbortSignal,
    query: Readonly<Record<string, unknown>>,
  ): AsyncIterable<readonly JobReply[]> =>
    caller.pages(jobReply, reading(signal), (after, options) =>
      client.get('/fine_tuning/jobs', { ...options, query: { ...query, limit: PAGE_SIZE, after } }),
    );

  const findByFile = async (marker: JobMarker, fileId: string, signal: AbortSignal): Promise<JobReply[]> => {
    const file = await orNullWhereMissing(
      caller.json(fileReply, reading(signal), (options) => client.get(`/files/${encodeURIComponent(fileId)}`, options)),
    );
    const oldest = (file?.created_at ?? 0) - FILE_AGE_SLACK_SECONDS;
    const found: JobReply[] = [];
    for await (const page of listJobs(signal, {})) {
      found.push(...page.filter((job) => trainsOnMarkedFile(job, marker)));
      if (page.some((job) => typeof job.created_at === 'number' && job.created_at < oldest)) break;
    }
    return found;
  };

  const control = async (
    jobId: string,
    verb: 'cancel' | 'pause' | 'resume',
    signal: AbortSignal,
  ): Promise<RemoteJob> => {
    const options: CallOptions = { kind: 'control', timeoutMs: READ_TIMEOUT_MS, signal };
    return toJob(
      await caller.json(jobReply, options, (clientOptions) => client.post(`${jobPath(jobId)}/${verb}`, clientOptions)),
    );
  };

  return {
    name: 'openai',

    async canTune(model, signal) {
      const reply = await orNullWhereMissing(
        caller.json(modelReply, reading(signal), (options) =>
          client.get(`/models/${encodeURIComponent(model)}`, options),
        ),
      );
      return reply === null ? 'unlisted' : tunability(reply, now());
    },

    async uploadDataset(input, signal) {
      const fileName = remoteFileName(input.jobId, input.role);
      const find = (): Promise<string | null> => findUpload(input, fileName, signal);
      const earlier = await find();
      const inParts = input.sizeBytes > inPartsAboveBytes;
      // Of an attempt whose place another one took, or of a release with another limit.
      if (earlier !== null || !inParts) await uploads.discard(input.resumeFrom, signal);
      if (earlier !== null) return { id: earlier };
      if (!inParts) return { id: await upload(input, fileName, signal) };
      return { id: await uploads.send({ ...input, content: countedContent(input), fileName, find }, signal) };
    },

    discardUpload: (progress, signal) => uploads.discard(progress, signal),

    async findDatasets(jobId, since, signal) {
      const names: readonly unknown[] = [remoteFileName(jobId, 'training'), remoteFileName(jobId, 'validation')];
      const found: RemoteFile[] = [];
      for await (const file of filesSince(since, signal)) {
        if (names.includes(file.filename)) found.push({ id: file.id });
      }
      return found;
    },

    async deleteFile(fileId, signal) {
      await orNullWhereMissing(
        caller.json(deletedReply, reading(signal), (options) =>
          client.delete(`/files/${encodeURIComponent(fileId)}`, options),
        ),
      );
    },

    async findJobs(marker, signal) {
      const found: JobReply[] = [];
      for await (const page of listJobs(signal, { metadata: { [MARKER_KEY]: marker.jobId } })) {
        found.push(...page.filter((job) => carriesMarker(job, marker)));
      }
      const fileId = marker.files.training;
      if (found.length === 0 && fileId !== undefined) found.push(...(await findByFile(marker, fileId, signal)));
      // Newest first as it comes; sorting is stable, so jobs of the same second keep that order.
      return found
        .reverse()
        .sort((first, second) => (first.created_at ?? 0) - (second.created_at ?? 0))
        .map(toJob);
    },

    async createJob(submission, signal) {
      const body = toCreateBody(submission);
      const options: CallOptions = { kind: 'create', timeoutMs: CREATE_TIMEOUT_MS, signal };
      return toJob(
        await caller.json(jobReply, options, (clientOptions) =>
          client.post('/fine_tuning/jobs', { ...clientOptions, body }),
        ),
      );
    },

    async getJob(jobId, signal) {
      return toJob(await caller.json(jobReply, reading(signal), (options) => client.get(jobPath(jobId), options)));
    },

    cancelJob: (jobId, signal) => control(jobId, 'cancel', signal),
    pauseJob: (jobId, signal) => control(jobId, 'pause', signal),
    resumeJob: (jobId, signal) => control(jobId, 'resume', signal),

    async listEvents(jobId, afterId, signal) {
      const newestFirst: RemoteEvent[] = [];
      const seen = new Set<string>();
      const pages = caller.pages(eventReply, reading(signal), listOf(client, `${jobPath(jobId)}/events`));
      for await (const page of pages) {
        for (const event of page) {
          if (event.id === afterId) return newestFirst.reverse();
          if (seen.has(event.id)) continue;
          seen.add(event.id);
          newestFirst.push(toRemoteEvent(event));
        }
      }
      return newestFirst.reverse();
    },

    async listCheckpoints(jobId, signal) {
      const checkpoints = [];
      const pages = caller.pages(checkpointReply, reading(signal), listOf(client, `${jobPath(jobId)}/checkpoints`));
      for await (const page of pages) checkpoints.push(...page.map(toRemoteCheckpoint));
      return checkpoints.reverse().sort((first, second) => first.stepNumber - second.stepNumber);
    },

    async openResult(reference, signal) {
      const path = `/files/${encodeURIComponent(reference)}`;
      try {
        const file = await caller.json(fileReply, reading(signal), (options) => client.get(path, options));
        const content = await caller.bytes({ kind: 'read', timeoutMs: TRANSFER_TIMEOUT_MS, signal }, (options) =>
          client.files.content(reference, options),
        );
        return { fileName: file.filename ?? 'step_metrics.csv', content: plainCsv(content, 'openai') };
      } catch (error) {
        if (!isMissing(error)) throw error;
        // OpenAI names a result before it can be read, for a moment.
        throw new GatewayError('provider_result_missing', `OpenAI does not have the result file ${reference}.`, {
          provider: 'openai',
          ...(error.providerRequestId === undefined ? {} : { providerRequestId: error.providerRequestId }),
        });
      }
    },
  };
}

function jobPath(jobId: string): string {
  return `/fine_tuning/jobs/${encodeURIComponent(jobId)}`;
}

function listOf(client: OpenAI, path: string) {
  return (after: string | undefined, options: ClientOptions) =>
    client.get(path, { ...options, query: { limit: PAGE_SIZE, after } });
}

function isMissing(error: unknown): error is GatewayError {
  return error instanceof GatewayError && error.code === 'provider_not_found';
}

async function orNullWhereMissing<Result>(call: Promise<Result>): Promise<Result | null> {
  try {
    return await call;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
