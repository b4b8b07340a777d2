import type { FineTuningJobInput, RemoteCleanup, StartStage } from '../domain/activities.js';
import { isTerminal } from '../domain/job-state.js';
import type { JobRow } from '../store/jobs.js';
import type { JobWorkflows, StartMode } from './workflows-port.js';

export interface StartSettings {
  readonly taskQueuePrefix: string;
  readonly pollIntervalScale: number;
  readonly activityTimeoutScale: number;
  readonly remoteCleanup: RemoteCleanup;
}

export interface StartFromRowDependencies {
  readonly workflows: Pick<JobWorkflows, 'start'>;
  readonly jobs: { markWorkflowStarted(id: string): Promise<void> };
  readonly settings: StartSettings;
}

export interface StartFromRowOptions {
  readonly mode: StartMode;
  readonly deadlineMs: number;
}

export type StartFromRow = (row: JobRow, options: StartFromRowOptions) => Promise<boolean>;

/**
 * Starts or adopts a job: one function, because the row alone says where a run must begin. Returns whether a run was
 * started; false means that there was one already, or that the job is finished. Fails with `temporal_unavailable`.
 */
export function createStartFromRow(dependencies: StartFromRowDependencies): StartFromRow {
  return async (row, options) => {
    if (isTerminal(row.status)) return false;
    const started = await dependencies.workflows.start(inputFromRow(row, dependencies.settings), options);
    await dependencies.jobs.markWorkflowStarted(row.id);
    return started;
  };
}

/** The workflow's input for the job as the row knows it; holds no credential. */
export function inputFromRow(row: JobRow, settings: StartSettings): FineTuningJobInput {
  return {
    jobId: row.id,
    workspaceId: row.workspaceId,
    provider: row.provider,
    virtualKeyId: row.virtualKeyId,
    request: row.request,
    createdAt: row.createdAt.toISOString(),
    ...settings,
    startAt: startStage(row),
    ...(row.providerJobId === null ? {} : { providerJobId: row.providerJobId }),
    ...(row.submittedAt === null ? {} : { submittedAt: row.submittedAt.toISOString() }),
    remoteFiles: row.remoteFiles,
    status: row.status,
    cancelRequested: row.cancelRequestedAt !== null,
  };
}

/** With an id the provider has the job; with an attempt it may have it, so it is looked for; else nothing was sent yet. */
function startStage(row: Pick<JobRow, 'providerJobId' | 'submitAttemptedAt'>): StartStage {
  if (row.providerJobId !== null) return 'wait';
  return row.submitAttemptedAt === null ? 'validate' : 'submit';
}
