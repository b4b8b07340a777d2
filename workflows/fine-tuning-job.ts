import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  setHandler,
} from '@temporalio/workflow';
import type { FineTuningJobInput } from '../src/domain/activities.js';
import type { JobView, RemoteFiles } from '../src/domain/job.js';
import { createInterruption, StageInterrupted } from './interruption.js';
import { jobErrorOf } from './job-failure.js';
import type { AtProvider, Ending, JobRun } from './job-run.js';
import { createJobTracker } from './job-tracker.js';
import { cancelSignal, pauseUpdate, refreshSignal, resumeUpdate, statusQuery } from './messages.js';
import { createStageActivities } from './stage-activities.js';
import { cancelAndWait } from './stages/cancel.js';
import { controlAtProvider, refuseUnlessWaiting } from './stages/control.js';
import { finish, UNEXPLAINED } from './stages/finish.js';
import { prepareFiles } from './stages/prepare.js';
import { submit } from './stages/submit.js';
import { awaitTerminal } from './stages/wait.js';

/**
 * One fine-tuning job, from its row to the provider's terminal word.
 *
 * Closes Completed for a success and for a cancel by the API, Failed (type = our error code) for a failure, and
 * Canceled for a cancellation of the workflow that the provider confirmed.
 */
export async function fineTuningJob(input: FineTuningJobInput): Promise<JobView> {
  const tracker = createJobTracker(input);
  const interruption = createInterruption(() => {
    tracker.markCancelRequested();
  });
  const run: JobRun = { input, tracker, interruption, activities: createStageActivities(input) };

  setHandler(statusQuery, () => tracker.view(), { description: 'The job as the workflow knows it' });
  setHandler(
    cancelSignal,
    () => {
      interruption.requestCancel('api');
    },
    { description: 'Cancel the job, at the provider too' },
  );
  setHandler(
    refreshSignal,
    () => {
      interruption.refresh();
    },
    { description: 'Ask the provider now' },
  );
  setHandler(pauseUpdate, () => controlAtProvider(run, 'pause'), {
    validator: () => {
      refuseUnlessWaiting(run);
    },
    description: 'Pause at the provider',
  });
  setHandler(resumeUpdate, () => controlAtProvider(run, 'resume'), {
    validator: () => {
      refuseUnlessWaiting(run);
    },
    description: 'Resume at the provider',
  });

  if (input.cancelRequested === true) interruption.requestCancel('api');
  // A cancellation of the workflow (Web UI, command line) takes the way of the signal; the body itself is never cancelled.
  CancellationScope.current().cancelRequested.catch(() => {
    interruption.requestCancel('native');
  });
  await CancellationScope.nonCancellable(async () => {
    await runToTheEnd(run);
    await condition(allHandlersFinished);
  });
  return close(run);
}

/** How far the job has come; a cancel needs to know. */
interface Place {
  job: AtProvider | null;
}

async function runToTheEnd(run: JobRun): Promise<void> {
  const ending = await reachTheEnd(run, startingPlace(run.input));
  run.tracker.markEnding();
  await finish(run, ending.change, ending.job);
}

async function reachTheEnd(run: JobRun, place: Place): Promise<Ending> {
  try {
    return await advance(run, place).catch((error: unknown) => {
      if (error instanceof StageInterrupted) return cancelAndWait(run, place.job);
      throw error;
    });
  } catch (error) {
    return { change: { status: 'failed', error: jobErrorOf(error) }, job: null };
  }
}

async function advance(run: JobRun, place: Place): Promise<Ending> {
  if (place.job === null) {
    const files = adoptedFiles(run.input) ?? (await prepareFiles(run));
    place.job = await submit(run, files);
  }
  const change = await awaitTerminal(run, place.job, { untilCancelled: true });
  return { change, job: place.job };
}

function startingPlace(input: FineTuningJobInput): Place {
  const { startAt, providerJobId } = input;
  const submittedAt = input.submittedAt ?? input.createdAt;
  return { job: startAt === 'wait' && providerJobId !== undefined ? { providerJobId, submittedAt } : null };
}

/** The files that an earlier run uploaded, where this one begins at submit. */
function adoptedFiles(input: FineTuningJobInput): RemoteFiles | null {
  return input.startAt === 'submit' && input.remoteFiles?.training !== undefined ? input.remoteFiles : null;
}

function close(run: JobRun): JobView {
  const view = run.tracker.view();
  if (view.status === 'failed') {
    const error = view.error ?? UNEXPLAINED;
    throw ApplicationFailure.create({
      type: error.code,
      message: error.message,
      nonRetryable: true,
      details: [view],
    });
  }
  if (view.status === 'cancelled' && run.interruption.cancelledNatively()) {
    throw new CancelledFailure('The job was cancelled, and the provider confirmed it.');
  }
  return view;
}
