// Imports nothing of value: workflows take values from here.
import type { ProviderName } from './provider-name.js';

/** Names that the gateway, the workers and operators' commands agree on. */
export const JOB_WORKFLOW_TYPE = 'fineTuningJob';
export const RECONCILE_WORKFLOW_TYPE = 'reconcile';
export const SWEEP_WORKFLOW_TYPE = 'sweepFiles';

export const workflowsQueue = (prefix: string): string => `${prefix}-workflows`;
export const filesQueue = (prefix: string): string => `${prefix}-files`;
export const providerQueue = (prefix: string, provider: ProviderName): string => `${prefix}-provider-${provider}`;
export const reconcileScheduleId = (prefix: string): string => `${prefix}-reconcile`;
export const sweepScheduleId = (prefix: string): string => `${prefix}-sweep-files`;

/** Search attributes, all of type Keyword. */
export const SEARCH_ATTRIBUTES = {
  provider: 'TunesmithProvider',
  status: 'TunesmithStatus',
  workspace: 'TunesmithWorkspace',
  model: 'TunesmithModel',
} as const;
