import {
  isGrpcServiceError,
  ServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type Client,
  type WorkflowExecutionStatusName,
  type WorkflowStartOptions,
} from '@temporalio/client';
import {
  ApplicationFailure,
  defineSearchAttributeKey,
  TypedSearchAttributes,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import { cancelSignal, pauseUpdate, refreshSignal, resumeUpdate, statusQuery } from '../../workflows/messages.js';
import type { FineTuningJobInput } from '../domain/activities.js';
import { GatewayError, isErrorCode } from '../domain/errors.js';
import { JOB_WORKFLOW_TYPE, SEARCH_ATTRIBUTES, workflowsQueue } from '../domain/temporal-names.js';
import type { JobWorkflows, RunStatus, StartMode } from './workflows-port.js';

export interface TemporalWorkflowsDependencies {
  /** On a lazy connection, so that the gateway starts and serves reads without Temporal. */
  readonly client: Client;
  /** Whether the cluster knows our search attributes: an unknown one makes Temporal refuse the start. */
  readonly searchAttributesAvailable: () => Promise<boolean>;
}

const GRPC_INVALID_ARGUMENT = 3;
/** Temporal's limit on keyword attributes in SQL visibility stores. */
const ATTRIBUTE_MAX_BYTES = 255;
/** Temporal's limit. */
const FAIRNESS_KEY_MAX_BYTES = 64;

/** `JobWorkflows` over Temporal. Connects to nothing until the first call. */
export function createTemporalWorkflows(dependencies: TemporalWorkflowsDependencies): JobWorkflows {
  const { client } = dependencies;
  // Client calls have no deadline of their own: against a dead server one would hang until the caller gave up.
  const within = <Answer>(deadlineMs: number, call: () => Promise<Answer>): Promise<Answer> =>
    client.withDeadline(Date.now() + deadlineMs, call);
  const handle = (jobId: string) => client.workflow.getHandle(jobId);

  const delivered = async (deadlineMs: number, call: () => Promise<void>): Promise<boolean> => {
    try {
      await within(deadlineMs, call);
      return true;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw unavailable(error);
    }
  };

  return {
    async start(input, options) {
      try {
        return await within(options.deadlineMs, async () => {
          const searchAttributes = await dependencies.searchAttributesAvailable();
          try {
            return await startOnce(client, input, options.mode, searchAttributes);
          } catch (error) {
            // Servers cache their attribute map for a minute after a registration: running beats being listed.
            if (searchAttributes && isUnknownAttribute(error)) return startOnce(client, input, options.mode, false);
            throw error;
          }
        });
      } catch (error) {
        throw unavailable(error);
      }
    },

    async query(jobId, deadlineMs) {
      try {
        return await within(deadlineMs, () => handle(jobId).query(statusQuery));
      } catch (error) {
        throw unavailable(error);
      }
    },

    signalCancel: (jobId, reason, deadlineMs) =>
      delivered(deadlineMs, () => handle(jobId).signal(cancelSignal, { reason })),

    signalRefresh: (jobId, deadlineMs) => delivered(deadlineMs, () => handle(jobId).signal(refreshSignal)),

    async control(jobId, action, deadlineMs) {
      const update = action === 'pause' ? pauseUpdate : resumeUpdate;
      try {
        return await within(deadlineMs, () => handle(jobId).executeUpdate(update));
      } catch (error) {
        if (error instanceof WorkflowUpdateFailedError) throw refusal(error, action);
        if (error instanceof WorkflowNotFoundError) {
          const message = 'The job has no open run at this moment. Read the job, and try again if it is not finished.';
          throw new GatewayError('temporal_unavailable', message, { cause: error });
        }
        throw unavailable(error);
      }
    },

    async describe(jobId, deadlineMs) {
      try {
        const description = await within(deadlineMs, () => handle(jobId).describe());
        return runStatus(description.status.name);
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'not_found';
        throw unavailable(error);
      }
    },
  };
}

async function startOnce(
  client: Client,
  input: FineTuningJobInput,
  mode: StartMode,
  searchAttributes: boolean,
): Promise<boolean> {
  try {
    await client.workflow.start(JOB_WORKFLOW_TYPE, startOptions({ ...input, searchAttributes }, mode));
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

/** Everything Temporal is told about a job. Exported for the test that no part of it is more than the input says. */
export function startOptions(
  input: FineTuningJobInput,
  mode: StartMode,
): WorkflowStartOptions<(input: FineTuningJobInput) => Promise<unknown>> {
  const { request } = input;
  return {
    args: [input],
    workflowId: input.jobId,
    taskQueue: workflowsQueue(input.taskQueuePrefix),
    workflowIdReusePolicy: mode === 'first' ? 'REJECT_DUPLICATE' : 'ALLOW_DUPLICATE',
    workflowIdConflictPolicy: 'FAIL',
    staticSummary: cut(`Fine-tune ${oneLine(request.model)} at ${input.provider}`, 200),
    staticDetails: details(input, mode),
    memo: {
      provider: input.provider,
      model: request.model,
      workspace: input.workspaceId,
      trainingFile: request.trainingFile,
    },
    priority: { fairnessKey: cut(input.virtualKeyId, FAIRNESS_KEY_MAX_BYTES) },
    ...(input.searchAttributes === true ? { typedSearchAttributes: attributes(input) } : {}),
  };
}

function attributes(input: FineTuningJobInput): TypedSearchAttributes {
  const pair = (name: string, value: string) => ({
    key: defineSearchAttributeKey(name, 'KEYWORD'),
    value: cut(value, ATTRIBUTE_MAX_BYTES),
  });
  return new TypedSearchAttributes([
    pair(SEARCH_ATTRIBUTES.provider, input.provider),
    pair(SEARCH_ATTRIBUTES.status, input.status ?? 'validating_files'),
    pair(SEARCH_ATTRIBUTES.workspace, input.workspaceId),
    pair(SEARCH_ATTRIBUTES.model, input.request.model),
  ]);
}

/** Markdown for the Web UI. Text of the caller's stands in code spans, without what would end one. */
function details(input: FineTuningJobInput, mode: StartMode): string {
  const { request } = input;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Job', input.jobId],
    ['Model', request.model],
    ['Asked of the provider', request.providerModel],
    ['Provider', input.provider],
    ['Method', request.method.type],
    ['Training file', request.trainingFile],
    ['Validation file', request.validationFile],
    ['Suffix', request.suffix],
    ['Workspace', input.workspaceId],
    ['Accepted', input.createdAt],
    ['Begins at', input.startAt ?? 'validate'],
    ['Adopted', mode === 'adopt' ? 'an earlier run of this job ended without an outcome' : undefined],
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [`- **${name}**: ${code(value)}`])).join('\n');
}

const oneLine = (text: string): string => text.replaceAll(/[\s`]+/g, ' ').trim();
const code = (text: string): string => `\`${cut(oneLine(text), 200)}\``;

/** At most `maxBytes` of UTF-8, whole characters. */
function cut(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  let result = '';
  let sizeBytes = 0;
  for (const character of text) {
    sizeBytes += Buffer.byteLength(character);
    if (sizeBytes > maxBytes) break;
    result += character;
  }
  return result;
}

function runStatus(name: WorkflowExecutionStatusName): RunStatus {
  switch (name) {
    case 'COMPLETED':
      return 'completed';
    case 'FAILED':
      return 'failed';
    case 'CANCELLED':
      return 'cancelled';
    case 'TERMINATED':
      return 'terminated';
    case 'TIMED_OUT':
      return 'timed_out';
    // A status that this client does not know must not lead to a second run.
    case 'RUNNING':
    case 'PAUSED':
    case 'CONTINUED_AS_NEW':
    case 'UNSPECIFIED':
    case 'UNKNOWN':
      return 'running';
  }
}

function isUnknownAttribute(error: unknown): boolean {
  const cause = error instanceof ServiceError ? error.cause : error;
  if (!isGrpcServiceError(cause)) return false;
  const code: number = cause.code;
  return code === GRPC_INVALID_ARGUMENT && /search ?attribute/i.test(cause.details);
}

/** The failure of an update: what the workflow or the activity under it said, by our code. */
function refusal(error: WorkflowUpdateFailedError, action: 'pause' | 'resume'): GatewayError {
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ApplicationFailure && typeof cause.type === 'string' && isErrorCode(cause.type)) {
      return new GatewayError(cause.type, cause.message, { cause: error });
    }
  }
  return new GatewayError('invalid_job_state', `The job ended before the ${action} took effect.`, { cause: error });
}

function unavailable(error: unknown): unknown {
  if (error instanceof GatewayError) return error;
  const late = error instanceof WorkflowUpdateRPCTimeoutOrCancelledError;
  const message = late
    ? 'No answer in time. The request may still take effect: read the job before repeating it.'
    : 'Temporal does not answer. Try again shortly.';
  return new GatewayError('temporal_unavailable', message, { cause: error });
}
