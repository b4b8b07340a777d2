import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { FineTuningJobInput } from '../src/domain/activities.js';
import { acceptedState, type JobState, type JobView, type StateVersion } from '../src/domain/job.js';
import type { JobStatus } from '../src/domain/job-state.js';
import { SEARCH_ATTRIBUTES } from '../src/domain/temporal-names.js';

const STATUS_ATTRIBUTE = defineSearchAttributeKey(SEARCH_ATTRIBUTES.status, 'KEYWORD');

/** What the workflow knows of its job, and the version each row write carries. */
export interface JobTracker {
  /** The version for the next write. Ask once per activity, when it is scheduled. */
  nextVersion(): StateVersion;
  /**
   * Makes a change visible to the query; call it once the row has it. A change that is older than what is published is
   * passed over, as the row passes it over: a pause and a poll can be answered in another order than they were written.
   */
  publish(version: StateVersion, change: Partial<JobState>): void;
  bindProviderJob(providerJobId: string): void;
  markCancelRequested(): void;
  /** The terminal word is known: from here on nothing may write a version above the terminal state's. */
  markEnding(): void;
  ending(): boolean;
  state(): JobState;
  view(): JobView;
  /** Statuses reported since submit, or since the last `paused`. */
  seen(): readonly JobStatus[];
}

export function createJobTracker(input: FineTuningJobInput): JobTracker {
  const { runId } = workflowInfo();
  let state = initialState(input);
  let published: StateVersion = { runId, sequence: 0 };
  let lastSequence = 0;
  let providerJobId = input.providerJobId ?? null;
  let cancelRequested = input.cancelRequested ?? false;
  let ending = false;
  let seen: readonly JobStatus[] = [];

  const tracker: JobTracker = {
    nextVersion() {
      lastSequence += 1;
      return { runId: workflowInfo().runId, sequence: lastSequence };
    },
    publish(version, change) {
      if (version.sequence < published.sequence) return;
      const statusBefore = state.status;
      state = { ...state, ...change };
      published = version;
      seen = seenAfter(seen, state.status);
      if (state.status !== statusBefore && input.searchAttributes === true) {
        upsertSearchAttributes([{ key: STATUS_ATTRIBUTE, value: state.status }]);
      }
      setCurrentDetails(describe(tracker.view()));
    },
    bindProviderJob(id) {
      providerJobId = id;
    },
    markCancelRequested() {
      cancelRequested = true;
    },
    markEnding() {
      ending = true;
    },
    ending: () => ending,
    state: () => state,
    view: () => ({
      ...state,
      jobId: input.jobId,
      version: published,
      provider: input.provider,
      providerJobId,
      cancelRequested,
    }),
    seen: () => seen,
  };
  return tracker;
}

function initialState(input: FineTuningJobInput): JobState {
  return {
    ...acceptedState(),
    ...(input.status === undefined ? {} : { status: input.status }),
    ...(input.startAt === 'wait' ? { phase: 'waiting' } : {}),
  };
}

/** Each pause starts anew, and a job that goes on can be paused again. */
function seenAfter(seen: readonly JobStatus[], status: JobStatus): readonly JobStatus[] {
  if (status === 'paused') return ['paused'];
  return [...seen.filter((each) => each !== 'paused' && each !== status), status];
}

/** Markdown for the Web UI's details pane. */
function describe(view: JobView): string {
  const lines = [
    `**${view.status}** (${view.phase})`,
    '',
    `- provider: ${view.provider}`,
    `- job at the provider: ${view.providerJobId === null ? 'not yet' : `\`${view.providerJobId}\``}`,
  ];
  if (view.cancelRequested) lines.push('- cancel requested');
  if (view.fineTunedModel !== null) lines.push(`- tuned model: \`${view.fineTunedModel}\``);
  if (view.error !== null) lines.push(`- error: \`${view.error.code}\`: ${view.error.message.slice(0, 500)}`);
  return lines.join('\n');
}
