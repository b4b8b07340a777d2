// Drives the workflow sandbox of Temporal's SDK without a server, by the deep imports that the SDK's own tests use.
// Pinned to @temporalio/* 1.24.0: look here first when that version changes.
import { fileURLToPath } from 'node:url';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  DefaultFailureConverter,
  defaultPayloadConverter,
  type Payload,
  type RetryState,
  TypedSearchAttributes,
} from '@temporalio/common';
import { msToTs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import { bundleWorkflowCode } from '@temporalio/worker';
import { parseWorkflowCode } from '@temporalio/worker/lib/worker.js';
import { ReusableVMWorkflowCreator } from '@temporalio/worker/lib/workflow/reusable-vm.js';

const { WorkflowActivation } = proto.coresdk.workflow_activation;
const { ActivityCancellationType } = proto.coresdk.workflow_commands;
type Command = proto.coresdk.workflow_commands.IWorkflowCommand;
type Job = proto.coresdk.workflow_activation.IWorkflowActivationJob;
type Resolution = proto.coresdk.activity_result.IActivityResolution;

/** How one attempt of an activity ends. `stays`: it runs until the test calls `resolve`. */
export type Outcome =
  | { readonly outcome: 'completes'; readonly result?: unknown }
  | { readonly outcome: 'retries'; readonly delayMs: number; readonly type?: string }
  | { readonly outcome: 'fails'; readonly type: string; readonly message?: string; readonly details?: unknown[] }
  | { readonly outcome: 'cancels' }
  | { readonly outcome: 'stays' };

export interface Attempt {
  readonly name: string;
  readonly input: unknown;
  readonly attempt: number;
  readonly atMs: number;
  readonly taskQueue: string;
}

export type Closed =
  | { readonly as: 'completed'; readonly result: unknown }
  | { readonly as: 'failed'; readonly error: Error }
  | { readonly as: 'cancelled' };

export interface Update {
  readonly name: string;
  accepted: boolean;
  rejected: Error | null;
  result: unknown;
}

export interface SandboxRun {
  readonly attempts: readonly Attempt[];
  /** Commands in order, in short; two runs of one history have the same. */
  readonly commands: readonly string[];
  /** Activities that run or wait for their next attempt. */
  pending(): readonly string[];
  closed(): Closed | null;
  nowMs(): number;
  // The next five are delivered together, in one activation, by the next `settle`.
  signal(name: string, ...parameters: unknown[]): void;
  cancel(): void;
  update(name: string): Update;
  /** Ends an attempt that stays. */
  resolve(name: string, outcome: Outcome): void;
  query(name: string): Promise<unknown>;
  /** Delivers and runs whatever is due, moving the clock on, until all that is left stays, or `forMs` have passed. */
  settle(forMs?: number): Promise<void>;
}

interface Pending {
  readonly seq: number;
  readonly name: string;
  readonly input: unknown;
  readonly taskQueue: string;
  readonly tryCancel: boolean;
  readonly maximumAttempts: number;
  attempt: number;
  dueMs: number;
  state: 'due' | 'staying';
  cancelRequested: boolean;
}

export interface SandboxStart {
  readonly workflowType: string;
  readonly input: unknown;
  readonly activities: (attempt: Attempt) => Outcome;
  readonly startMs?: number;
}

export interface WorkflowSandbox {
  start(options: SandboxStart): Promise<SandboxRun>;
}

const MAX_ATTEMPTS = 100_000;
const failures = new DefaultFailureConverter();

/** Bundles the workflows as the build does. */
export async function bundleWorkflows(): Promise<string> {
  const quiet = (): void => undefined;
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    logger: { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet },
  });
  return code;
}

export async function createWorkflowSandbox(code: string): Promise<WorkflowSandbox> {
  const creator = await ReusableVMWorkflowCreator.create(parseWorkflowCode(code), 10_000, new Set());
  let runs = 0;
  return {
    start(options) {
      runs += 1;
      return startRun(creator, `run-${runs}`, options);
    },
  };
}

async function startRun(creator: ReusableVMWorkflowCreator, runId: string, start: SandboxStart): Promise<SandboxRun> {
  let nowMs = start.startMs ?? Date.UTC(2026, 0, 1);
  const startTime = new Date(nowMs);
  const jobs: Job[] = [];
  const pending = new Map<number, Pending>();
  const updates = new Map<string, Update>();
  const attempts: Attempt[] = [];
  const commands: string[] = [];
  let closed: Closed | null = null;
  let messages = 0;

  const workflow = await creator.createWorkflow({
    info: {
      workflowId: 'workflow',
      runId,
      workflowType: start.workflowType,
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- the type requires it still
      searchAttributes: {},
      typedSearchAttributes: new TypedSearchAttributes(),
      historyLength: 3,
      historySize: 300,
      continueAsNewSuggested: false,
      targetWorkerDeploymentVersionChanged: false,
      taskQueue: 'test-workflows',
      namespace: 'default',
      firstExecutionRunId: runId,
      originalExecutionRunId: runId,
      startTime,
      runStartTime: startTime,
      taskTimeoutMs: 10_000,
      attempt: 1,
      unsafe: {
        now: () => nowMs,
        isReplaying: false,
        isReplayingHistoryEvents: false,
        random: { random: () => 0.5, uuid4: () => 'no uuid', fillRandom: (bytes) => bytes },
      },
    },
    randomnessSeed: [1, 2, 3, 4],
    now: nowMs,
    showStackTraceSources: false,
  });

  const activate = async (batch: readonly Job[]): Promise<readonly Command[]> => {
    const completion = await workflow.activate(
      WorkflowActivation.fromObject({ runId, timestamp: msToTs(nowMs), isReplaying: false, jobs: batch }),
    );
    if (completion.failed) throw new Error(`the workflow task failed: ${completion.failed.failure?.message ?? ''}`);
    return completion.successful?.commands ?? [];
  };

  const resolution = (activity: Pending, outcome: Outcome): Resolution | null => {
    const failed = (cause: Error, retryState: RetryState): Resolution => ({
      failed: { failure: encode(new ActivityFailure('activity', activity.name, 'id', retryState, undefined, cause)) },
    });
    switch (outcome.outcome) {
      case 'completes':
        return { completed: { result: defaultPayloadConverter.toPayload(outcome.result) } };
      case 'cancels':
        return cancelled(activity);
      case 'fails':
        return failed(
          ApplicationFailure.create({ ...outcome, message: outcome.message ?? outcome.type, nonRetryable: true }),
          'NON_RETRYABLE_FAILURE',
        );
      case 'retries': {
        const cause = ApplicationFailure.create({ type: outcome.type ?? 'provider_unchanged', message: 'not yet' });
        // The server closes it as failed, not as cancelled: the attempt ended with a failure of its own.
        if (activity.cancelRequested) return failed(cause, 'CANCEL_REQUESTED');
        if (activity.attempt === activity.maximumAttempts) return failed(cause, 'MAXIMUM_ATTEMPTS_REACHED');
        activity.attempt += 1;
        activity.dueMs = nowMs + outcome.delayMs;
        activity.state = 'due';
        return null;
      }
      case 'stays':
        activity.state = 'staying';
        return null;
    }
  };

  const end = (activity: Pending, outcome: Outcome): void => {
    const result = resolution(activity, outcome);
    if (result === null) return;
    pending.delete(activity.seq);
    jobs.push({ resolveActivity: { seq: activity.seq, result } });
  };

  const requestCancel = (seq: number): string => {
    const activity = pending.get(seq);
    if (activity === undefined) return 'a closed activity';
    // TRY_CANCEL releases the workflow with the command; otherwise a running attempt ends first, a waiting one at once.
    if (activity.tryCancel || activity.state === 'due') {
      pending.delete(seq);
      jobs.push({ resolveActivity: { seq, result: cancelled(activity) } });
    } else {
      activity.cancelRequested = true;
    }
    return activity.name;
  };

  const apply = (command: Command): void => {
    if (command.scheduleActivity) {
      const scheduled = command.scheduleActivity;
      const seq = scheduled.seq ?? 0;
      const name = scheduled.activityType ?? '';
      pending.set(seq, {
        seq,
        name,
        input: decode(scheduled.arguments?.[0]),
        taskQueue: scheduled.taskQueue ?? '',
        tryCancel: (scheduled.cancellationType ?? 0) === ActivityCancellationType.TRY_CANCEL,
        maximumAttempts: scheduled.retryPolicy?.maximumAttempts ?? 0,
        attempt: 1,
        dueMs: nowMs,
        state: 'due',
        cancelRequested: false,
      });
      commands.push(`schedule ${name}`);
    } else if (command.requestCancelActivity) {
      commands.push(`cancel ${requestCancel(command.requestCancelActivity.seq ?? 0)}`);
    } else if (command.updateResponse) {
      const { protocolInstanceId, accepted, rejected, completed } = command.updateResponse;
      const update = updates.get(protocolInstanceId ?? '');
      if (update === undefined) throw new Error('an answer to no update');
      if (accepted) update.accepted = true;
      if (rejected) update.rejected = failures.failureToError(rejected, defaultPayloadConverter);
      if (completed) update.result = decode(completed);
      commands.push(`update ${update.name} ${accepted ? 'accepted' : rejected ? 'rejected' : 'completed'}`);
    } else if (command.completeWorkflowExecution) {
      closed = { as: 'completed', result: decode(command.completeWorkflowExecution.result) };
    } else if (command.failWorkflowExecution) {
      const failure = command.failWorkflowExecution.failure;
      closed = { as: 'failed', error: failures.failureToError(failure ?? {}, defaultPayloadConverter) };
    } else if (command.cancelWorkflowExecution) {
      closed = { as: 'cancelled' };
    } else if (command.upsertWorkflowSearchAttributes) {
      const fields = command.upsertWorkflowSearchAttributes.searchAttributes?.indexedFields ?? {};
      for (const [name, payload] of Object.entries(fields)) commands.push(`${name} = ${String(decode(payload))}`);
    } else if (command.setPatchMarker) {
      commands.push(`patch ${command.setPatchMarker.patchId ?? ''}`);
    } else {
      throw new Error(`this driver does not know the command ${Object.keys(command).join()}`);
    }
  };

  const deliver = async (): Promise<void> => {
    while (jobs.length > 0 && closed === null) for (const command of await activate(jobs.splice(0))) apply(command);
  };

  jobs.push({
    initializeWorkflow: {
      workflowId: 'workflow',
      workflowType: start.workflowType,
      arguments: [defaultPayloadConverter.toPayload(start.input)],
      startTime: msToTs(nowMs),
      attempt: 1,
      firstExecutionRunId: runId,
    },
  });
  await deliver();

  return {
    attempts,
    commands,
    pending: () => [...pending.values()].map((activity) => activity.name),
    closed: () => closed,
    nowMs: () => nowMs,
    signal(signalName, ...parameters) {
      jobs.push({
        signalWorkflow: { signalName, input: parameters.map((each) => defaultPayloadConverter.toPayload(each)) },
      });
    },
    cancel() {
      jobs.push({ cancelWorkflow: { reason: 'test' } });
    },
    update(name) {
      messages += 1;
      const id = `update-${messages}`;
      const update: Update = { name, accepted: false, rejected: null, result: undefined };
      updates.set(id, update);
      jobs.push({
        doUpdate: { id, protocolInstanceId: id, name, input: [], runValidator: true, meta: { updateId: id } },
      });
      return update;
    },
    resolve(name, outcome) {
      const activity = [...pending.values()].find((each) => each.name === name && each.state === 'staying');
      if (activity === undefined) throw new Error(`no attempt of ${name} stays`);
      end(activity, outcome);
    },
    async query(queryType) {
      const [command] = await activate([{ queryWorkflow: { queryId: 'query', queryType, arguments: [] } }]);
      const { succeeded, failed } = command?.respondToQuery ?? {};
      if (failed) throw failures.failureToError(failed, defaultPayloadConverter);
      return decode(succeeded?.response);
    },
    async settle(forMs = Number.POSITIVE_INFINITY) {
      const untilMs = nowMs + forMs;
      await deliver();
      for (let count = 0; closed === null; count += 1) {
        if (count === MAX_ATTEMPTS) throw new Error('the workflow never comes to rest');
        const [next] = [...pending.values()].filter(({ state }) => state === 'due').sort((a, b) => a.dueMs - b.dueMs);
        if (next === undefined) return;
        if (next.dueMs > untilMs) {
          nowMs = untilMs;
          return;
        }
        nowMs = Math.max(nowMs, next.dueMs);
        const { name, input, attempt, taskQueue } = next;
        const made: Attempt = { name, input, attempt, atMs: nowMs, taskQueue };
        attempts.push(made);
        end(next, start.activities(made));
        await deliver();
      }
    },
  };
}

function cancelled(activity: Pending): Resolution {
  const cause = new CancelledFailure('cancelled');
  return {
    cancelled: {
      failure: encode(new ActivityFailure('cancelled', activity.name, 'id', 'NON_RETRYABLE_FAILURE', undefined, cause)),
    },
  };
}

const encode = (error: Error) => failures.errorToFailure(error, defaultPayloadConverter);

function decode(payload: Payload | null | undefined): unknown {
  return payload ? defaultPayloadConverter.fromPayload<unknown>(payload) : undefined;
}
