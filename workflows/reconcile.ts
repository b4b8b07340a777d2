import { proxyActivities } from '@temporalio/workflow';
import type { FineTuningActivities } from '../src/domain/activities.js';
import { workflowsQueue } from '../src/domain/temporal-names.js';

export interface ReconcileInput {
  readonly taskQueuePrefix: string;
}

/** Far above what a start's backlog takes; the schedule goes on where a run stops. */
const MAX_ROUNDS = 50;

/** Started by a Temporal Schedule: brings rows and runs together again. */
export async function reconcile(input: ReconcileInput): Promise<void> {
  const { reconcileJobs } = proxyActivities<FineTuningActivities>({
    taskQueue: workflowsQueue(input.taskQueuePrefix),
    startToCloseTimeout: '2 minutes',
    retry: { initialInterval: '5 seconds', backoffCoefficient: 1, maximumAttempts: 5 },
    summary: 'Look at rows without a run, unanswered cancels and overdue observations',
  });
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const report = await reconcileJobs();
    if (!report.more) return;
  }
}
