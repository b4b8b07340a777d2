import { ScheduleAlreadyRunning, ScheduleOverlapPolicy, type Client } from '@temporalio/client';
import { reconcileScheduleId, RECONCILE_WORKFLOW_TYPE, workflowsQueue } from '../domain/temporal-names.js';

const INTERVAL_MS = 30_000;
const MIN_INTERVAL_MS = 1_000;

/** Makes the reconciler's schedule if there is none. What an operator changed about it stays. */
export async function ensureReconcileSchedule(
  client: Client,
  options: { readonly taskQueuePrefix: string; readonly pollIntervalScale: number },
): Promise<void> {
  const { taskQueuePrefix, pollIntervalScale } = options;
  try {
    await client.schedule.create({
      scheduleId: reconcileScheduleId(taskQueuePrefix),
      spec: { intervals: [{ every: Math.max(MIN_INTERVAL_MS, INTERVAL_MS * pollIntervalScale) }] },
      action: {
        type: 'startWorkflow',
        workflowType: RECONCILE_WORKFLOW_TYPE,
        args: [{ taskQueuePrefix }],
        taskQueue: workflowsQueue(taskQueuePrefix),
        workflowId: reconcileScheduleId(taskQueuePrefix),
        staticSummary: 'Bring rows and runs together again',
      },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 minute' },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
