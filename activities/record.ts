import type { RecordInput, Recorded } from '../src/domain/activities.js';
import { isTerminal } from '../src/domain/job-state.js';
import type { NewJobEvent } from '../src/store/job-events.js';
import type { ActivityDependencies } from './dependencies.js';

/** Writes the workflow's state. Its event goes first, so that who sees a terminal status can read every event. */
export async function recordJob(dependencies: ActivityDependencies, input: RecordInput): Promise<Recorded> {
  const { jobs, events } = dependencies;
  if (input.state.phase === 'cancelling') await jobs.markCancelRequested(input.jobId);
  const event = eventOf(input);
  if (event !== null) await events.append(input.jobId, [event]);
  if (isTerminal(input.state.status)) await jobs.recordObservation(input.jobId, { nextPollAt: null });
  return jobs.recordState(input.jobId, input.version, input.state);
}

function eventOf({ state }: RecordInput): NewJobEvent | null {
  if (state.phase === 'cancelling') return message('gateway:cancelling', 'info', 'Cancelling the job');
  if (state.status === 'cancelled') return message('gateway:cancelled', 'info', 'The job was cancelled');
  if (state.status === 'failed') {
    const text = state.error === null ? 'The job failed' : `The job failed: ${state.error.message}`;
    return { ...message('gateway:failed', 'error', text), data: state.error === null ? {} : { ...state.error } };
  }
  return null;
}

function message(sourceId: NewJobEvent['sourceId'], level: NewJobEvent['level'], text: string): NewJobEvent {
  return { sourceId, level, type: 'message', message: text, data: {} };
}
