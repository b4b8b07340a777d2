import type { FineTuningActivities } from '../src/domain/activities.js';
import { cancelAtProvider } from './cancel.js';
import { createDelays } from './cadence.js';
import { deleteRemote } from './clean.js';
import { collectResults } from './collect.js';
import { controlJob } from './control.js';
import { preflightDataset } from './datasets.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';
import { observed } from './observe.js';
import { recordJob } from './record.js';
import { submitJob } from './submit.js';
import { uploadDataset } from './upload.js';
import { sweepFiles } from './sweep.js';
import { awaitProviderChange } from './wait.js';

export type { ActivityDependencies, OpenedJob } from './dependencies.js';

/** The activities, bound to what they need. One Temporal activity per property. */
export function createActivities(dependencies: ActivityDependencies): FineTuningActivities {
  const delays = createDelays(dependencies.pollIntervalScale, dependencies.random);
  return {
    preflightDataset: withFailures(delays, (input) => preflightDataset(dependencies, input)),
    uploadDataset: withFailures(
      delays,
      observed(dependencies, (input) => uploadDataset(dependencies, input)),
    ),
    submitJob: withFailures(
      delays,
      observed(dependencies, (input) => submitJob(dependencies, delays, input)),
    ),
    awaitProviderChange: withFailures(delays, (input) => awaitProviderChange(dependencies, delays, input)),
    collectResults: withFailures(delays, (input) => collectResults(dependencies, delays, input)),
    cancelAtProvider: withFailures(
      delays,
      observed(dependencies, (input) => cancelAtProvider(dependencies, delays, input)),
    ),
    controlJob: withFailures(delays, (input) => controlJob(dependencies, input)),
    recordJob: withFailures(delays, (input) => recordJob(dependencies, input)),
    deleteRemote: withFailures(delays, (input) => deleteRemote(dependencies, input)),
    reconcileJobs: withFailures(delays, () => dependencies.reconcile()),
    sweepFiles: withFailures(delays, () => sweepFiles(dependencies)),
  };
}
