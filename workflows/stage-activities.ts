import { ActivityCancellationType, proxyActivities, type ActivityOptions } from '@temporalio/workflow';
import type { FineTuningJobInput, JobActivities } from '../src/domain/activities.js';
import { filesQueue, providerQueue, workflowsQueue } from '../src/domain/temporal-names.js';

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Above what the server orders by: submit and cancel go before polls when a provider queue has a backlog. */
const PRIORITY = { act: 1, poll: 5 } as const;

/**
 * The activities of one job, each with its queue, time-outs and the words that the Web UI shows.
 *
 * The retry policy is flat and without end: each retryable failure carries its own next delay, and a back-off
 * policy would grow on benign polls and then delay real errors. No stage has a schedule-to-close time-out.
 */
export function createStageActivities(input: FineTuningJobInput): JobActivities {
  const timeoutScale = input.activityTimeoutScale ?? 1;
  const retry = {
    initialInterval: wholeMs(5 * SECOND_MS * (input.pollIntervalScale ?? 1)),
    backoffCoefficient: 1,
  };
  const provider = providerQueue(input.taskQueuePrefix, input.provider);
  const files = filesQueue(input.taskQueuePrefix);
  const fairnessKey = input.virtualKeyId.slice(0, 64);

  const build = (
    taskQueue: string,
    startToCloseMs: number,
    summary: string,
    options: Omit<ActivityOptions, 'taskQueue' | 'startToCloseTimeout' | 'summary'> = {},
  ): JobActivities =>
    proxyActivities<JobActivities>({
      taskQueue,
      startToCloseTimeout: wholeMs(startToCloseMs * timeoutScale),
      summary,
      retry,
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      allowEagerDispatch: false,
      ...options,
    });
  const heartbeatTimeout = wholeMs(MINUTE_MS * timeoutScale);
  const act = { priority: { priorityKey: PRIORITY.act, fairnessKey } };
  const poll = { priority: { priorityKey: PRIORITY.poll, fairnessKey } };

  return {
    preflightDataset: (dataset) =>
      build(files, 2 * HOUR_MS, `Check the ${dataset.role} file ${dataset.fileId}`, {
        heartbeatTimeout,
        cancellationType: ActivityCancellationType.TRY_CANCEL,
      }).preflightDataset(dataset),
    uploadDataset: (dataset) =>
      build(files, 12 * HOUR_MS, `Upload the ${dataset.role} file to ${input.provider}`, {
        heartbeatTimeout,
      }).uploadDataset(dataset),
    submitJob: build(provider, MINUTE_MS, `Find or create the job at ${input.provider}`, { ...act, heartbeatTimeout })
      .submitJob,
    awaitProviderChange: (wait) =>
      build(provider, 90 * SECOND_MS, `Wait for ${input.provider} ${wait.providerJobId}`, {
        ...poll,
        heartbeatTimeout,
        cancellationType: ActivityCancellationType.TRY_CANCEL,
      }).awaitProviderChange(wait),
    collectResults: build(files, 10 * MINUTE_MS, 'Collect events, checkpoints and result files', { heartbeatTimeout })
      .collectResults,
    cancelAtProvider: build(provider, MINUTE_MS, `Cancel at ${input.provider}`, { ...act, heartbeatTimeout })
      .cancelAtProvider,
    controlJob: (control) =>
      build(provider, 30 * SECOND_MS, `${control.action === 'pause' ? 'Pause' : 'Resume'} at ${input.provider}`, {
        ...act,
        retry: { ...retry, maximumAttempts: 3 },
        // Somebody waits for the answer, and a run does not close while it is out: no Retry-After of an hour here.
        scheduleToCloseTimeout: wholeMs(MINUTE_MS * timeoutScale),
      }).controlJob(control),
    recordJob: (record) =>
      build(workflowsQueue(input.taskQueuePrefix), 10 * SECOND_MS, `Record: ${record.state.phase}`).recordJob(record),
    deleteRemote: build(files, 2 * MINUTE_MS, `Delete what was uploaded to ${input.provider}`, { heartbeatTimeout })
      .deleteRemote,
  };
}

// A fraction of a millisecond would reach the server as 0, which means "the server's default".
const wholeMs = (durationMs: number): number => Math.max(1, Math.round(durationMs));
