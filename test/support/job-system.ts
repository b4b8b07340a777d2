import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { createActivities, type ActivityDependencies } from '../../activities/index.js';
import type { FineTuningActivities } from '../../src/domain/activities.js';
import type { JobRequest } from '../../src/domain/job.js';
import { SEARCH_ATTRIBUTES } from '../../src/domain/temporal-names.js';
import { inputFromRow } from '../../src/jobs/start-from-row.js';
import { startOptions } from '../../src/jobs/temporal-workflows.js';
import { createLogger } from '../../src/observability/logger.js';
import { createTemporalClient, embeddedTemporal } from '../../src/temporal/connection.js';
import { startEmbeddedTemporal } from '../../src/temporal/embedded.js';
import { findTemporal } from '../../src/temporal/finder.js';
import { installTemporalRuntime } from '../../src/temporal/runtime.js';
import { startWorkers } from '../../src/temporal/workers.js';
import { createActivitySetup, type ActivitySetup } from './activity-setup.js';
import { createTestDatabase } from './database.js';
import { bundleWorkflows } from './workflow-sandbox.js';

export interface JobSystemOptions {
  readonly scale: number;
  readonly activityTimeoutScale?: number;
  /** Other dependencies than the scripted vendor's, and activities around the real ones. */
  readonly dependencies?: (setup: ActivitySetup) => Partial<ActivityDependencies>;
  readonly wrap?: (activities: FineTuningActivities) => FineTuningActivities;
}

/** A Temporal server, workers with the workflows of the sources, and PostgreSQL: jobs from their row to their history. */
export interface JobSystem {
  readonly setup: ActivitySetup;
  readonly client: Client;
  /** A new row, and its run. */
  startJob(request?: JobRequest): Promise<WorkflowHandle>;
  stop(): Promise<void>;
}

const PREFIX = 'test';

export async function startJobSystem(options: JobSystemOptions): Promise<JobSystem> {
  const home = await mkdtemp(join(tmpdir(), 'tunesmith-jobs-'));
  const stops: (() => Promise<unknown>)[] = [() => rm(home, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  const silent = createLogger({ level: 'silent' });
  try {
    installTemporalRuntime(silent);
    const bundlePath = join(home, 'bundle.js');
    await writeFile(bundlePath, await bundleWorkflows());
    const test = await createTestDatabase();
    stops.push(() => test.drop());
    const setup = await createActivitySetup(test.database, { scale: options.scale, maxResultFileBytes: 10_000_000 });
    const { path } = await findTemporal({ environment: process.env, log: () => undefined });
    const temporal = await startEmbeddedTemporal({
      executable: await withQuickTimers(path, home),
      home,
      searchAttributes: Object.fromEntries(Object.values(SEARCH_ATTRIBUTES).map((name) => [name, 'Keyword' as const])),
      log: () => undefined,
    });
    stops.push(() => temporal.stop());
    const target = embeddedTemporal(temporal.address, temporal.namespace);
    const { client, close } = createTemporalClient(target);
    stops.push(close);
    const dependencies = { ...setup.dependencies, now: Date.now, ...options.dependencies?.(setup) };
    const activities = createActivities(dependencies);
    const workers = await startWorkers({
      target,
      taskQueuePrefix: PREFIX,
      providers: ['openai'],
      activities: options.wrap?.(activities) ?? activities,
      bundlePath,
      providerActivitiesPerSecond: 10_000,
      logger: silent,
    });
    stops.push(() => workers.stop());
    return {
      setup,
      client,
      async startJob(request) {
        const row = await dependencies.jobs.get(await setup.addJob(request));
        const settings = {
          taskQueuePrefix: PREFIX,
          pollIntervalScale: options.scale,
          activityTimeoutScale: options.activityTimeoutScale ?? 1,
          remoteCleanup: 'on_failure',
        } as const;
        const input = { ...inputFromRow(row, settings), searchAttributes: true };
        return client.workflow.start('fineTuningJob', startOptions(input, 'first'));
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A server fires its timers in steps of a second; in these tests a poll is due after some milliseconds. */
async function withQuickTimers(executable: string, home: string): Promise<string> {
  const script = join(home, 'temporal-quick');
  const settings = [
    'history.timerProcessorMaxTimeShift="1ms"',
    'history.timerProcessorMaxPollRPS=1000',
    'history.transferProcessorMaxPollRPS=1000',
  ];
  const option = settings.map((setting) => `--dynamic-config-value '${setting}'`).join(' ');
  await writeFile(script, `#!/bin/sh\nexec '${executable}' "$@" --db-filename '' ${option}\n`, { mode: 0o755 });
  return script;
}
