import { GatewayError } from '../domain/errors.js';
import { isTerminal } from '../domain/job-state.js';
import type { Providers } from '../domain/provider-port.js';
import type { JobRow } from '../store/jobs.js';
import { alreadyFinished } from './cancel-job.js';
import { mergeView, type JobReader } from './read-job.js';
import type { JobWorkflows } from './workflows-port.js';

export interface ControlJobDependencies {
  readonly reader: Pick<JobReader, 'requireRow'>;
  readonly workflows: Pick<JobWorkflows, 'control'>;
  readonly providers: Providers;
}

export type ControlJob = (workspaceId: string, id: string, action: 'pause' | 'resume') => Promise<JobRow>;

/** Longer than a provider's answer may take, shorter than clients wait. */
const UPDATE_DEADLINE_MS = 20_000;

/**
 * Pauses or resumes a job at its provider and answers once the provider has. Fails with `unsupported_operation`, with no call,
 * where the provider has no such thing; with `invalid_job_state` or the provider's refusal; with `temporal_unavailable`.
 */
export function createJobController(dependencies: ControlJobDependencies): ControlJob {
  const { reader, workflows, providers } = dependencies;
  return async (workspaceId, id, action) => {
    const row = await reader.requireRow(workspaceId, id);
    if (!providers.get(row.provider).capabilities.pause) {
      throw new GatewayError('unsupported_operation', `The provider '${row.provider}' cannot ${action} jobs.`);
    }
    if (isTerminal(row.status)) throw alreadyFinished(row, action);
    const view = await workflows.control(id, action, UPDATE_DEADLINE_MS);
    return mergeView(await reader.requireRow(workspaceId, id), view);
  };
}
