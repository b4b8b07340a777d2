import type { Request } from 'express';
import { randomInt } from 'node:crypto';
import type { EmulatorContext } from '../core/emulator.js';
import { freshId } from '../core/random.js';
import { authenticate, type Caller } from './caller.js';
import { createJobBody, createJobSchema, type CreateJobBody } from './create-request.js';
import { failureOf, inspectDataset, type RowFormat } from './dataset-inspection.js';
import { badRequest, refuse } from './errors.js';
import type { FileRecord, OpenAiFiles } from './file-records.js';
import { NEVER_MS, statusOf, type JobRecord } from './job-record.js';
import type { OpenAiJobs } from './job-records.js';
import { beginJob } from './job-timeline.js';
import { tunedModel } from './job-view.js';
import { readJsonBody } from './json-body.js';
import { resolveSnapshot, takesCompletions } from './models.js';

export interface JobDependencies {
  context: EmulatorContext;
  files: OpenAiFiles;
  jobs: OpenAiJobs;
}

function checkMethod(body: CreateJobBody): void {
  const { method } = body;
  if (method === undefined) return;
  const other = (['supervised', 'dpo', 'reinforcement'] as const).find(
    (type) => type !== method.type && method[type] !== undefined,
  );
  if (other !== undefined)
    throw badRequest(`method.${other} does not belong to method type '${method.type}'`, 'method');
  if (method.type === 'reinforcement' && method.reinforcement === undefined) {
    throw badRequest("'reinforcement' is a required property - 'method'");
  }
  if (body.hyperparameters !== undefined) {
    throw badRequest("Only one of 'method' and 'hyperparameters' may be given.", 'hyperparameters');
  }
}

function usableFile(
  files: OpenAiFiles,
  id: string,
  param: 'training_file' | 'validation_file',
  organizationId: string,
): FileRecord {
  const file = files.list(organizationId).find((candidate) => candidate.id === id);
  if (file === undefined) throw badRequest(`invalid ${param}: ${id}`, param);
  if (file.purpose !== 'fine-tune') {
    throw badRequest(`File '${id}' has purpose '${file.purpose}'; ${param} must have purpose 'fine-tune'.`, param);
  }
  return file;
}

function checkQuota(jobs: readonly JobRecord[], model: string, running: number | null, queued: number | null): void {
  if (queued === null) return;
  const active = jobs.filter((job) => job.stage !== 'ended' && statusOf(job) !== 'paused');
  const runningNow = active.filter((job) => job.stage === 'running').length;
  const waiting = active.length - runningNow;
  const overQuota = running === null ? waiting >= queued : active.length >= running + queued;
  if (!overQuota) return;
  throw refuse(
    429,
    'This fine-tune request has been rate-limited. Your organization has reached the maximum of ' +
      `${String((running ?? 0) + queued)} active requests (${String(runningNow)} running, ${String(waiting)} pending) for the model '${model}'.`,
    { code: 'rate_limit_exceeded' },
  );
}

function rowFormatOf(body: CreateJobBody, model: string): RowFormat {
  const method = body.method?.type ?? 'supervised';
  return method === 'supervised' && takesCompletions(model) ? 'completion' : method;
}

function resolveModel(asked: string, jobs: readonly JobRecord[]): string {
  const tuned = jobs.some((job) => job.word === 'succeeded' && !job.modelDeleted && tunedModel(job) === asked);
  const model = tuned ? asked : resolveSnapshot(asked);
  if (model !== undefined) return model;
  throw badRequest(
    `Model ${asked} is not available for fine-tuning or does not exist.`,
    'model',
    'model_not_available',
  );
}

/** `createFineTuningJob`: checks the body as OpenAI does; what is wrong inside the files only fails the job later. */
export async function createJob(request: Request, { context, files, jobs }: JobDependencies): Promise<JobRecord> {
  const { clock, content } = context;
  const settings = context.settingsOf('openai');
  const caller: Caller = authenticate(request, settings);
  const createdWith = await readJsonBody(request, createJobSchema);
  const body = createJobBody.parse(createdWith);
  if (settings.createForbidden()) {
    throw refuse(403, 'Your organization is not allowed to create fine-tuning jobs.', { code: 'permission_denied' });
  }
  checkMethod(body);
  const ownJobs = jobs.list(caller.organizationId);
  const model = resolveModel(body.model, ownJobs);
  const training = usableFile(files, body.training_file, 'training_file', caller.organizationId);
  const validation = body.validation_file
    ? usableFile(files, body.validation_file, 'validation_file', caller.organizationId)
    : undefined;
  const format = rowFormatOf(body, model);
  const trainingData = await inspectDataset(content.read(files.contentKey(training.id)), format);
  const validationData =
    validation === undefined ? undefined : await inspectDataset(content.read(files.contentKey(validation.id)), format);
  // After the last wait, so that creates side by side cannot all pass below the quota.
  checkQuota(jobs.list(caller.organizationId), model, settings.runningQuota(), settings.queuedQuota());
  const job: JobRecord = {
    id: `ftjob-${freshId(24)}`,
    sequence: jobs.nextSequence(),
    organizationId: caller.organizationId,
    credential: caller.credential,
    createdMs: clock.nowMs(),
    lengthMs: clock.jobSeconds() * 1000,
    body,
    createdWith,
    model,
    seed: body.seed ?? randomInt(0, 2_147_483_648),
    rows: trainingData.rows,
    tokens: trainingData.tokens,
    failure:
      failureOf(trainingData, 'training_file') ??
      (validationData ? failureOf(validationData, 'validation_file') : null),
    stage: 'validating_files',
    word: null,
    dueMs: NEVER_MS,
    segments: [],
    endedMs: null,
    error: null,
    notes: [],
    modelDeleted: false,
    resultStored: false,
  };
  beginJob(job);
  jobs.put(job);
  return job;
}
