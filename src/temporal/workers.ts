import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import type { FineTuningActivities } from '../domain/activities.js';
import type { ProviderName } from '../domain/provider-name.js';
import { filesQueue, providerQueue, workflowsQueue } from '../domain/temporal-names.js';
import type { Logger } from '../observability/logger.js';
import type { TemporalTarget } from './connection.js';

export interface WorkersOptions {
  readonly target: TemporalTarget;
  readonly taskQueuePrefix: string;
  readonly providers: readonly ProviderName[];
  readonly activities: FineTuningActivities;
  readonly bundlePath: string;
  readonly providerActivitiesPerSecond: number;
  readonly logger: Logger;
}

/** The workers of one process: workflows, files, and one queue for each provider. */
export interface Workers {
  /** True while every worker polls. */
  running(): boolean;
  /** Ends well once all have stopped as asked; rejects when one stops by itself. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** Polls are waits; a file is streamed by few at once. */
const PROVIDER_ACTIVITIES_AT_ONCE = 200;
const FILE_ACTIVITIES_AT_ONCE = 6;
const RECORDS_AT_ONCE = 50;
const CACHED_WORKFLOWS = 500;
const SHUTDOWN_GRACE_MS = 5_000;
/** Without it an activity that never returns would keep the process for ever. */
const SHUTDOWN_FORCE_MS = 8_000;

export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { target, taskQueuePrefix, activities, logger } = options;
  const connection = await NativeConnection.connect(target.connectionOptions);
  const common = {
    connection,
    namespace: target.namespace,
    shutdownGraceTime: SHUTDOWN_GRACE_MS,
    shutdownForceTime: SHUTDOWN_FORCE_MS,
  };
  const queues: WorkerOptions[] = [
    {
      ...common,
      taskQueue: workflowsQueue(taskQueuePrefix),
      workflowBundle: { codePath: options.bundlePath },
      activities: { recordJob: activities.recordJob, reconcileJobs: activities.reconcileJobs },
      maxConcurrentActivityTaskExecutions: RECORDS_AT_ONCE,
      maxCachedWorkflows: CACHED_WORKFLOWS,
    },
    {
      ...common,
      taskQueue: filesQueue(taskQueuePrefix),
      activities: {
        preflightDataset: activities.preflightDataset,
        uploadDataset: activities.uploadDataset,
        collectResults: activities.collectResults,
        deleteRemote: activities.deleteRemote,
        sweepFiles: activities.sweepFiles,
      },
      maxConcurrentActivityTaskExecutions: FILE_ACTIVITIES_AT_ONCE,
    },
    ...options.providers.map((provider) => ({
      ...common,
      taskQueue: providerQueue(taskQueuePrefix, provider),
      activities: {
        submitJob: activities.submitJob,
        awaitProviderChange: activities.awaitProviderChange,
        cancelAtProvider: activities.cancelAtProvider,
        controlJob: activities.controlJob,
      },
      maxConcurrentActivityTaskExecutions: PROVIDER_ACTIVITIES_AT_ONCE,
      maxTaskQueueActivitiesPerSecond: options.providerActivitiesPerSecond,
    })),
  ];
  const workers: Worker[] = [];
  try {
    for (const queue of queues) workers.push(await Worker.create(queue));
  } catch (error) {
    await connection.close();
    throw error;
  }
  const runs = workers.map((worker) => worker.run());
  const stopAll = (): void => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  // One that stops by itself takes the others along: half a worker would leave jobs waiting without a word.
  const ended = Promise.all(
    runs.map((run) =>
      run.catch((error: unknown) => {
        logger.error({ err: error }, 'a worker stopped');
        stopAll();
        throw error;
      }),
    ),
  ).then(() => undefined);
  ended.catch(() => undefined);
  const stop = async (): Promise<void> => {
    stopAll();
    await Promise.allSettled(runs);
    await connection.close();
  };
  let stopped: Promise<void> | undefined;
  return {
    running: () => workers.every((worker) => worker.getState() === 'RUNNING'),
    ended,
    // Once: a connection refuses to be closed again.
    stop: () => (stopped ??= stop()),
  };
}
