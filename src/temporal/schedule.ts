import { ScheduleAlreadyRunning, ScheduleOverlapPolicy, type Client } from '@temporalio/client';
import {
  reconcileScheduleId,
  RECONCILE_WORKFLOW_TYPE,
  sweepScheduleId,
  SWEEP_WORKFLOW_TYPE,
  workflowsQueue,
} from '../domain/temporal-names.js';

const MIN_INTERVAL_MS = 1_000;

interface Round {
  readonly scheduleId: string;
  readonly workflowType: string;
  readonly summary: string;
  readonly intervalMs: number;
  /** Also once when the schedule is made. */
  readonly atOnce: boolean;
}

export interface ScheduleOptions {
  readonly taskQueuePrefix: string;
  readonly pollIntervalScale: number;
}

/** Makes those of our schedules that are not there. What an operator changed about one stays. */
export async function ensureSchedules(client: Client, options: ScheduleOptions): Promise<void> {
  await ensureSchedule(client, options, {
    scheduleId: reconcileScheduleId(options.taskQueuePrefix),
    workflowType: RECONCILE_WORKFLOW_TYPE,
    summary: 'Bring rows and runs together again',
    intervalMs: 30_000,
    atOnce: false,
  });
  await ensureSchedule(client, options, {
    scheduleId: sweepScheduleId(options.taskQueuePrefix),
    workflowType: SWEEP_WORKFLOW_TYPE,
    summary: 'Remove bytes in the file store that no row names',
    intervalMs: 60 * 60 * 1_000,
    // A new store gets its owner mark before it has content.
    atOnce: true,
  });
}

async function ensureSchedule(client: Client, options: ScheduleOptions, round: Round): Promise<void> {
  const { taskQueuePrefix, pollIntervalScale } = options;
  const { scheduleId, workflowType, summary, intervalMs, atOnce } = round;
  try {
    await client.schedule.create({
      scheduleId,
      spec: { intervals: [{ every: Math.max(MIN_INTERVAL_MS, intervalMs * pollIntervalScale) }] },
      action: {
        type: 'startWorkflow',
        workflowType,
        args: [{ taskQueuePrefix }],
        taskQueue: workflowsQueue(taskQueuePrefix),
        workflowId: scheduleId,
        staticSummary: summary,
      },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 minute' },
      state: { triggerImmediately: atOnce },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
