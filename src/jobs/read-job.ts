import { GatewayError } from '../domain/errors.js';
import type { JobView } from '../domain/job.js';
import { advanceStatus, isTerminal } from '../domain/job-state.js';
import type { JobCheckpointRow, JobCheckpointsRepository } from '../store/job-checkpoints.js';
import type { JobEventRow, JobEventsRepository } from '../store/job-events.js';
import type { JobRow, JobsRepository } from '../store/jobs.js';
import type { JobWorkflows } from './workflows-port.js';

export interface ReadJobDependencies {
  readonly jobs: Pick<JobsRepository, 'find' | 'list'>;
  readonly events: Pick<JobEventsRepository, 'list'>;
  readonly checkpoints: Pick<JobCheckpointsRepository, 'list'>;
  readonly workflows: Pick<JobWorkflows, 'query'>;
}

export interface Page<Item> {
  readonly rows: readonly Item[];
  readonly hasMore: boolean;
}

export interface PageRequest {
  readonly after: string | null;
  readonly limit: number;
}

export interface JobListRequest extends PageRequest {
  /** Undefined: no filter. Null: jobs without metadata. */
  readonly metadata: Readonly<Record<string, string>> | null | undefined;
}

export type JobReader = ReturnType<typeof createJobReader>;

const QUERY_DEADLINE_MS = 500;

/**
 * Reads jobs. The row decides whose job it is and is the answer for a finished one; for an open job the workflow is
 * asked too. Unknown ids fail with `job_not_found`, an unknown `after` with `invalid_request`.
 */
export function createJobReader(dependencies: ReadJobDependencies) {
  const { jobs, events, checkpoints, workflows } = dependencies;
  const underWay = new Map<string, Promise<JobView | null>>();

  /** Concurrent reads of one job share one query; nothing outlives it. */
  const view = (id: string): Promise<JobView | null> => {
    const shared = underWay.get(id);
    if (shared !== undefined) return shared;
    const query = workflows
      .query(id, QUERY_DEADLINE_MS)
      // The row answers as well, a little later at the most: whatever fails here is no failure of the read.
      .catch(() => null)
      .finally(() => underWay.delete(id));
    underWay.set(id, query);
    return query;
  };

  const requireRow = async (workspaceId: string, id: string): Promise<JobRow> => {
    const row = await jobs.find(workspaceId, id);
    if (row === undefined) throw jobNotFound(id);
    return row;
  };

  return {
    requireRow,

    /** The job as it stands now. */
    async get(workspaceId: string, id: string): Promise<JobRow> {
      const row = await requireRow(workspaceId, id);
      if (isTerminal(row.status) || row.workflowStartedAt === null) return row;
      const seen = await view(id);
      return seen === null ? row : mergeView(row, seen);
    },

    /** Newest first. */
    async list(workspaceId: string, request: JobListRequest): Promise<Page<JobRow>> {
      const after = request.after === null ? null : await jobs.find(workspaceId, request.after);
      if (after === undefined) throw unknownCursor(request.after);
      return jobs.list(workspaceId, { after, limit: request.limit, metadata: request.metadata });
    },

    /** Newest first. */
    async events(workspaceId: string, id: string, request: PageRequest): Promise<Page<JobEventRow>> {
      await requireRow(workspaceId, id);
      const page = await events.list(id, request);
      if (page === undefined) throw unknownCursor(request.after);
      return page;
    },

    /** Latest step first. */
    async checkpoints(workspaceId: string, id: string, request: PageRequest): Promise<Page<JobCheckpointRow>> {
      await requireRow(workspaceId, id);
      const page = await checkpoints.list(id, request);
      if (page === undefined) throw unknownCursor(request.after);
      return page;
    },
  };
}

/**
 * The row with the workflow's state where that is newer. A state is published only after its row was written, so a view
 * is newer only if the row was read just before that write; a view of a run that was replaced, or one that has written
 * nothing yet, is not. The status never goes back, as in the row itself.
 */
export function mergeView(row: JobRow, view: JobView): JobRow {
  if (!isNewer(row, view)) return row;
  return {
    ...row,
    status: advanceStatus(row.status, view.status),
    phase: view.phase,
    error: view.error,
    fineTunedModel: view.fineTunedModel,
    trainedTokens: view.trainedTokens,
    resultFiles: [...view.resultFiles],
    finishedAt: view.finishedAt === null ? null : new Date(view.finishedAt),
    providerJobId: row.providerJobId ?? view.providerJobId,
    stateRunId: view.version.runId,
    stateSequence: view.version.sequence,
  };
}

function isNewer(row: JobRow, view: JobView): boolean {
  const { runId, sequence } = view.version;
  if (view.jobId !== row.id || sequence === 0) return false;
  if (row.stateRunId === runId) return sequence > row.stateSequence;
  return !row.replacedRunIds.includes(runId);
}

/** OpenAI's words for an id that it does not know. */
export function jobNotFound(id: string): GatewayError {
  return new GatewayError('job_not_found', `Could not find fine tune: ${id}`, { param: 'fine_tune_id' });
}

function unknownCursor(after: string | null): GatewayError {
  return new GatewayError('invalid_request', `There is no item with the id '${after ?? ''}' to list after.`, {
    param: 'after',
  });
}
