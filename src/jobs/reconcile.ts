import type { ReconcileReport } from '../domain/activities.js';
import { isTerminal, type JobPhase } from '../domain/job-state.js';
import type { JobRow, JobsRepository } from '../store/jobs.js';
import type { JobLog } from './job-caller.js';
import type { StartFromRow } from './start-from-row.js';
import type { JobWorkflows } from './workflows-port.js';

export interface ReconcileDependencies {
  readonly jobs: Pick<JobsRepository, 'listNeglected' | 'markCancelRequested' | 'get' | 'touch'>;
  readonly workflows: Pick<JobWorkflows, 'describe' | 'signalCancel'>;
  readonly startFromRow: StartFromRow;
  /**
   * Whether a job whose run Temporal does not know is started anew. True where Temporal is our child; elsewhere a lost
   * and a wrong Temporal database look the same, and an operator decides.
   */
  readonly adoptLostRuns: boolean;
  /** How long a row may wait for its run, or for its next observation; 30 s in production. */
  readonly graceMs: number;
  readonly log: JobLog;
}

export type Reconcile = (signal?: AbortSignal) => Promise<ReconcileReport>;

type Outcome = 'started' | 'adopted' | 'signalled' | 'lost' | 'nothing';

const ROUND_LIMIT = 200;
const CONCURRENCY = 4;
/** A round ends early where Temporal is slow: the activity around it has a time-out, and the next round goes on. */
const ROUND_MS = 60_000;
const CALL_DEADLINE_MS = 5_000;
/** Phases in which the workflow has heard of the cancel. */
const ACKNOWLEDGED: readonly JobPhase[] = ['cancelling', 'collecting', 'finished'];

/**
 * One round over open jobs that look neglected: starts what has no run, repeats a cancel that was not acknowledged, adopts
 * what ended without an outcome. A job that cannot be seen to now does not keep the others from it.
 */
export function createReconciler(dependencies: ReconcileDependencies): Reconcile {
  const { jobs, log } = dependencies;

  const examineSafely = async (row: JobRow): Promise<Outcome> => {
    try {
      const outcome = await examine(dependencies, row);
      await jobs.touch(row.id);
      return outcome;
    } catch (error) {
      log.warn({ err: error, jobId: row.id }, 'reconcile: the job could not be seen to in this round');
      // Also then: a row that always fails must not stand in the way of those behind it.
      await jobs.touch(row.id).catch(() => undefined);
      return 'nothing';
    }
  };

  return async (signal) => {
    const rows = await jobs.listNeglected({ graceMs: dependencies.graceMs, limit: ROUND_LIMIT });
    const outcomes: Outcome[] = [];
    const lost: string[] = [];
    const waiting = rows.values();
    const endsAt = performance.now() + ROUND_MS;
    const worker = async (): Promise<void> => {
      for (const row of waiting) {
        if (signal?.aborted === true || performance.now() > endsAt) return;
        const outcome = await examineSafely(row);
        outcomes.push(outcome);
        if (outcome === 'lost') lost.push(row.id);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
    if (lost.length > 0) {
      log.error(
        { jobIds: lost.slice(0, 20), count: lost.length },
        'Temporal does not know the runs of open jobs: its database was lost, or it is another one. The jobs wait, and nothing is submitted anew; check TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE, or restore that database',
      );
    }
    const count = (outcome: Outcome): number => outcomes.filter((each) => each === outcome).length;
    return {
      examined: outcomes.length,
      started: count('started'),
      adopted: count('adopted'),
      signalled: count('signalled'),
      more: rows.length === ROUND_LIMIT || outcomes.length < rows.length,
    };
  };
}

async function examine(dependencies: ReconcileDependencies, row: JobRow): Promise<Outcome> {
  const { jobs, workflows, startFromRow, log } = dependencies;
  // The run of a job that can no longer be observed is closed, and rightly so.
  if (row.phase === 'unobserved') return 'nothing';
  if (row.workflowStartedAt === null) {
    return (await startFromRow(row, { mode: 'first', deadlineMs: CALL_DEADLINE_MS })) ? 'started' : 'nothing';
  }

  const run = await workflows.describe(row.id, CALL_DEADLINE_MS);
  switch (run) {
    case 'running': {
      if (row.cancelRequestedAt === null || ACKNOWLEDGED.includes(row.phase)) return 'nothing';
      return (await workflows.signalCancel(row.id, 'api', CALL_DEADLINE_MS)) ? 'signalled' : 'nothing';
    }
    case 'not_found':
      return dependencies.adoptLostRuns ? adopt() : 'lost';
    case 'terminated':
    case 'timed_out':
      // Whoever terminated the run wanted it to end: so does the job, at the provider too.
      await jobs.markCancelRequested(row.id);
      return adopt();
    case 'completed':
    case 'failed':
    case 'cancelled':
      return adopt();
  }

  async function adopt(): Promise<Outcome> {
    // Read again: the run may have written its outcome between the list and its close.
    const current = await jobs.get(row.id);
    if (isTerminal(current.status) || current.phase === 'unobserved') return 'nothing';
    log.warn({ jobId: row.id, run }, 'reconcile: the run ended without an outcome in the row; the job is adopted');
    return (await startFromRow(current, { mode: 'adopt', deadlineMs: CALL_DEADLINE_MS })) ? 'adopted' : 'nothing';
  }
}
