import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { JobView } from '../src/domain/job.js';

/** The job as the workflow knows it. */
export const statusQuery = defineQuery<JobView>('status');

/** Cancel the job: at the provider if it is there already. Repeating it changes nothing. */
export const cancelSignal = defineSignal<[{ readonly reason?: string }?]>('cancel');

/** Ask the provider now instead of at the next poll. */
export const refreshSignal = defineSignal('refresh');

/** Pause at the provider; the provider's refusal is the update's failure. */
export const pauseUpdate = defineUpdate<JobView>('pause');

/** Resume at the provider; the provider's refusal is the update's failure. */
export const resumeUpdate = defineUpdate<JobView>('resume');
