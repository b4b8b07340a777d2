import { GatewayError } from '../domain/errors.js';
import type { FineTuningProvider, ProviderDefinition, Providers } from '../domain/provider-port.js';
import type { JsonObject } from '../domain/json.js';
import type { JobRow, JobsRepository } from '../store/jobs.js';
import type { Vault } from '../vault/vault.js';
import type { VirtualKeys } from '../vault/virtual-keys.js';
import { JOB_OPTIONS_KIND, overrideSettings } from './provider-options.js';

export interface OpenJobDependencies {
  readonly jobs: Pick<JobsRepository, 'get'>;
  readonly virtualKeys: Pick<VirtualKeys, 'resolveById'>;
  readonly providers: Providers;
  readonly vault: Pick<Vault, 'open'>;
}

export interface OpenedJob {
  readonly row: JobRow;
  readonly definition: ProviderDefinition;
  readonly provider: FineTuningProvider;
}

/**
 * A job's row, and its vendor opened with the credentials that hold now: the virtual key's, under what the create
 * overrode for this job.
 */
export function createOpenJob(dependencies: OpenJobDependencies): (jobId: string) => Promise<OpenedJob> {
  return async (jobId) => {
    const row = await dependencies.jobs.get(jobId);
    const definition = dependencies.providers.get(row.provider);
    const { settings } = await dependencies.virtualKeys.resolveById(row.virtualKeyId);
    const effective = overrideSettings(definition, settings, openOverrides(dependencies.vault, row));
    return { row, definition, provider: definition.connect(effective) };
  };
}

function openOverrides(vault: Pick<Vault, 'open'>, row: JobRow): JsonObject {
  if (row.sealedOptions === null) return {};
  const opened = vault.open(row.sealedOptions, {
    kind: JOB_OPTIONS_KIND,
    rowId: row.id,
    workspaceId: row.workspaceId,
  });
  if (isObject(opened)) return opened;
  throw new GatewayError('credentials_unreadable', `The sealed options of ${row.id} are not an object.`);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
