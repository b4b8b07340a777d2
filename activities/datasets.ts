import type { DatasetInput, Recorded } from '../src/domain/activities.js';
import { GatewayError } from '../src/domain/errors.js';
import type { DatasetRole } from '../src/domain/job.js';
import { safeText } from '../src/domain/safe-text.js';
import { formatPreflightError, preflight, type PreflightProblem, type PreflightReport } from '../src/datasets/index.js';
import type { FileRow } from '../src/store/files.js';
import type { NewJobEvent } from '../src/store/job-events.js';
import type { JobRow } from '../src/store/jobs.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';
import { whileHeartbeating } from './heartbeat.js';

/** Of the job's `error.message`; the event lists every line. */
const MAX_MESSAGE_CHARACTERS = 1_500;

/** Reads a dataset once and fails with `invalid_training_file` where a row is wrong. */
export async function preflightDataset(dependencies: ActivityDependencies, input: DatasetInput): Promise<Recorded> {
  const { jobs, events } = dependencies;
  const row = await jobs.get(input.jobId);
  const recorded = await jobs.recordState(input.jobId, input.version, { phase: 'validating' });
  // A run that was reset: the rows were checked before the provider was asked to create.
  if (row.submitAttemptedAt !== null) return recorded;
  const opened = await dependencies.openJob(input.jobId);
  const file = await fileOf(dependencies, row, input);
  const report = await whileHeartbeating(async (signal) =>
    preflight(await dependencies.contents.open(file), preflightOptions(dependencies, opened, input.role), signal),
  );
  if (report.errorCount > 0) {
    const message = safeText(formatPreflightError(report), MAX_MESSAGE_CHARACTERS);
    await events.append(input.jobId, [
      {
        sourceId: `gateway:invalid_${input.role}_file`,
        level: 'error',
        type: 'message',
        message,
        data: { error_count: report.errorCount, errors: report.errors.map(problemData) },
      },
    ]);
    throw new GatewayError('invalid_training_file', message, { param: paramOf(input.role) });
  }
  const tooLong = tooLongEvent(input, opened, report);
  await events.append(input.jobId, [checkedEvent(input, report), ...(tooLong === null ? [] : [tooLong])]);
  return recorded;
}

function preflightOptions(dependencies: ActivityDependencies, { row, definition }: OpenedJob, role: DatasetRole) {
  const { model, providerModel, method } = row.request;
  const { nEpochs } = method.hyperparameters;
  return {
    method: method.type,
    role,
    model: providerModel ?? model,
    ...(typeof nEpochs === 'number' ? { epochs: nEpochs } : {}),
    ...(role === 'training' ? { minimumRows: definition.capabilities.minimumRows } : {}),
    ...(dependencies.maxDatasetRows === null ? {} : { maximumRows: dependencies.maxDatasetRows }),
    maxRowBytes: dependencies.maxRowBytes,
  };
}

function checkedEvent(input: DatasetInput, report: PreflightReport): NewJobEvent {
  return {
    sourceId: `gateway:checked_${input.role}`,
    level: 'info',
    type: 'message',
    message: `Checked the ${input.role} file ${input.fileId}: ${report.rowCount} rows`,
    data: { rows: report.rowCount, duplicates: report.duplicateRowCount, warnings: report.warningCount },
  };
}

/** Null where every row fits, or the model's limit is not known. */
function tooLongEvent(input: DatasetInput, { row }: OpenedJob, { tokens }: PreflightReport): NewJobEvent | null {
  if (tokens === null || tokens.limit === null || tokens.overLimitRowCount === 0) return null;
  const rows = tokens.overLimitRowCount === 1 ? '1 row has' : `${tokens.overLimitRowCount} rows have`;
  return {
    sourceId: `gateway:too_long_${input.role}`,
    level: 'warn',
    type: 'message',
    message: `${rows} more than the ${tokens.limit} tokens that the model trains on: ${row.provider} cuts the ${input.role} file there`,
    data: { rows: tokens.overLimitRowCount, token_limit: tokens.limit },
  };
}

/** Without an excerpt: a row's text is nobody's but its owner's, and is in no event. */
function problemData({ check, line, column, path, found, expected, message }: PreflightProblem) {
  return { check, line, column, path, found, expected, message };
}

export async function fileOf({ files }: ActivityDependencies, row: JobRow, input: DatasetInput): Promise<FileRow> {
  const file = await files.getForJob(input.fileId);
  if (file !== null) return file;
  throw new GatewayError('file_content_missing', `The content of ${input.fileId} (job ${row.id}) is missing.`);
}

const paramOf = (role: DatasetRole): string => (role === 'training' ? 'training_file' : 'validation_file');
