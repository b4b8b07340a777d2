import { proxyActivities } from '@temporalio/workflow';
import type { FineTuningActivities } from '../src/domain/activities.js';
import { filesQueue } from '../src/domain/temporal-names.js';

export interface SweepFilesInput {
  readonly taskQueuePrefix: string;
}

/** Started by a Temporal Schedule: removes what a crash left in the file store. The next run goes on where this one stops. */
export async function sweepFiles(input: SweepFilesInput): Promise<void> {
  const activities = proxyActivities<FineTuningActivities>({
    taskQueue: filesQueue(input.taskQueuePrefix),
    // Millions of contents are listed a thousand at a time.
    startToCloseTimeout: '6 hours',
    heartbeatTimeout: '1 minute',
    retry: { initialInterval: '30 seconds', backoffCoefficient: 2, maximumInterval: '5 minutes', maximumAttempts: 5 },
    summary: 'Remove bytes in the file store that no row names',
  });
  await activities.sweepFiles();
}
