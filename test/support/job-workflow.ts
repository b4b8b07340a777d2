import type {
  CancelInput,
  CollectInput,
  ControlInput,
  DatasetInput,
  FineTuningJobInput,
  JobActivities,
  RecordInput,
} from '../../src/domain/activities.js';
import type { JobRequest, JobView } from '../../src/domain/job.js';
import type { JobStatus } from '../../src/domain/job-state.js';
import type { Attempt, Outcome, SandboxRun, WorkflowSandbox } from './workflow-sandbox.js';

type ActivityName = keyof JobActivities;

/** What a test says of some activities; the rest go well. */
export type JobScript = Partial<Record<ActivityName, (attempt: Attempt) => Outcome>>;

/** A job's run in the sandbox. */
export interface JobInSandbox extends SandboxRun {
  view(): Promise<JobView>;
  /** Names of the activities whose attempts were made, in order. */
  names(): readonly string[];
  inputs(name: ActivityName): readonly Attempt['input'][];
}

export const completes = (result?: unknown): Outcome => ({ outcome: 'completes', result });
export const retries = (delayMs = 2_000, type?: string): Outcome => ({
  outcome: 'retries',
  delayMs,
  ...(type === undefined ? {} : { type }),
});
export const fails = (type: string, details?: unknown[]): Outcome => ({
  outcome: 'fails',
  type,
  message: `it says ${type}`,
  ...(details === undefined ? {} : { details }),
});
export const cancels: Outcome = { outcome: 'cancels' };
export const stays: Outcome = { outcome: 'stays' };

/** A status that the provider reports. */
export const reports = (status: JobStatus, error: JobView['error'] = null): Outcome => completes({ status, error });

export const PROVIDER_JOB = 'ftjob-at-the-provider';
export const RESULTS = {
  fineTunedModel: 'ft:model',
  trainedTokens: 4_200,
  resultFiles: ['file-result'],
  finishedAt: '2026-01-01T01:00:00.000Z',
  error: null,
};

/** With a training file alone. */
export const oneFileRequest: JobRequest = {
  model: 'gpt-4o-mini-2024-07-18',
  trainingFile: 'file-train',
  seed: 7,
  method: { type: 'supervised', hyperparameters: {} },
};

export const jobInput: FineTuningJobInput = {
  jobId: 'ftjob-test',
  workspaceId: 'ws_test',
  provider: 'openai',
  virtualKeyId: 'vk_test',
  request: { ...oneFileRequest, validationFile: 'file-valid' },
  createdAt: '2026-01-01T00:00:00.000Z',
  taskQueuePrefix: 'test',
  searchAttributes: true,
};

// @NOTE Inputs below are what the workflow sent, which its own types have checked; hence their `as`.
const PROGRESS: readonly JobStatus[] = ['queued', 'running', 'succeeded'];

function defaultScript(): Required<JobScript> {
  let cancelled = false;
  return {
    preflightDataset: () => completes({ status: 'validating_files', phase: 'validating' }),
    uploadDataset: (attempt) =>
      completes({
        status: 'validating_files',
        phase: 'uploading',
        remoteFileId: `remote-${(attempt.input as DatasetInput).role}`,
      }),
    submitJob: ({ atMs }) =>
      completes({
        status: 'validating_files',
        phase: 'waiting',
        providerJobId: PROVIDER_JOB,
        submittedAt: new Date(atMs).toISOString(),
      }),
    awaitProviderChange: (attempt) => {
      const { seen } = attempt.input as { seen: readonly JobStatus[] };
      if (cancelled) return reports('cancelled');
      if (attempt.attempt < 3) return retries();
      return reports(PROGRESS.find((status) => !seen.includes(status)) ?? 'succeeded');
    },
    collectResults: (attempt) =>
      completes(
        (attempt.input as CollectInput).status === 'succeeded' ? RESULTS : { ...RESULTS, fineTunedModel: null },
      ),
    cancelAtProvider: (attempt) => {
      cancelled = true;
      const { providerJobId } = attempt.input as CancelInput;
      return completes({ outcome: providerJobId === null ? 'nothing_there' : 'requested', providerJobId });
    },
    controlJob: (attempt) =>
      completes({
        status: (attempt.input as ControlInput).action === 'pause' ? 'paused' : 'running',
        phase: 'waiting',
      }),
    recordJob: (attempt) => {
      const { status, phase } = (attempt.input as RecordInput).state;
      return completes({ status, phase });
    },
    deleteRemote: () => completes(),
  };
}

/** Starts a job; with a script of its own nothing has run yet when this returns. */
export async function startJob(
  sandbox: WorkflowSandbox,
  script: JobScript = {},
  input: Partial<FineTuningJobInput> = {},
): Promise<JobInSandbox> {
  const scripts: Readonly<Record<string, (attempt: Attempt) => Outcome>> = { ...defaultScript(), ...script };
  const run = await sandbox.start({
    workflowType: 'fineTuningJob',
    input: { ...jobInput, ...input },
    activities(attempt) {
      const scripted = scripts[attempt.name];
      if (scripted === undefined) throw new Error(`no activity ${attempt.name}`);
      return scripted(attempt);
    },
  });
  return {
    ...run,
    // @NOTE The query's type, as `workflows/messages.ts` defines it.
    view: async () => (await run.query('status')) as JobView,
    names: () => run.attempts.map(({ name }) => name),
    inputs: (name) => run.attempts.filter((attempt) => attempt.name === name).map(({ input: sent }) => sent),
  };
}

/** What a stage does the first time it is run: stays until the test resolves it. Later attempts and runs as given. */
export function staysOnce(then: (attempt: Attempt) => Outcome): (attempt: Attempt) => Outcome {
  let stayed = false;
  return (attempt) => {
    if (stayed) return then(attempt);
    stayed = true;
    return stays;
  };
}
