import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { afterEach, describe, expect, it } from 'vitest';
import type { FineTuningJobInput } from '../domain/activities.js';
import { createTemporalWorkflows, startOptions } from './temporal-workflows.js';

const input: FineTuningJobInput = {
  jobId: 'ftjob-abc',
  workspaceId: 'ws_default',
  provider: 'openai',
  virtualKeyId: 'vk_1',
  request: {
    model: 'gpt-4o-mini',
    trainingFile: 'file-abc',
    seed: 1,
    method: { type: 'supervised', hyperparameters: {} },
  },
  createdAt: '2026-01-02T03:04:05.000Z',
  taskQueuePrefix: 'team',
  searchAttributes: true,
};

describe('what Temporal is told at a start', () => {
  it("is the job's id, queue and key, and a second start is refused while one is open", () => {
    expect(startOptions(input, 'first')).toMatchObject({
      args: [input],
      workflowId: 'ftjob-abc',
      taskQueue: 'team-workflows',
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'FAIL',
      priority: { fairnessKey: 'vk_1' },
      staticSummary: 'Fine-tune gpt-4o-mini at openai',
    });
    expect(startOptions(input, 'adopt')).toMatchObject({
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowIdConflictPolicy: 'FAIL',
    });
  });

  it('has search attributes only where the cluster knows them, cut to what it stores', () => {
    const model = `${'x'.repeat(254)}🙂`;
    const options = startOptions({ ...input, request: { ...input.request, model } }, 'first');
    const attributes = options.typedSearchAttributes;
    if (!(attributes instanceof TypedSearchAttributes)) throw new Error('no search attributes');
    expect(attributes.get(defineSearchAttributeKey('TunesmithModel', 'KEYWORD'))).toBe('x'.repeat(254));
    expect(attributes.get(defineSearchAttributeKey('TunesmithStatus', 'KEYWORD'))).toBe('validating_files');
    expect(startOptions({ ...input, searchAttributes: false }, 'first')).not.toHaveProperty('typedSearchAttributes');
  });

  it('is readable whatever the caller called the model', () => {
    const options = startOptions({ ...input, request: { ...input.request, model: 'a`b\n# c' } }, 'adopt');
    expect(options.staticSummary).toBe('Fine-tune a b # c at openai');
    expect(options.staticDetails).toContain('- **Model**: `a b # c`');
    expect(options.staticDetails).toContain('- **Adopted**');
  });
});

describe('without Temporal', () => {
  const connections: Connection[] = [];
  afterEach(async () => {
    await Promise.all(connections.splice(0).map((connection) => connection.close()));
  });

  it('every call ends by its deadline, as temporal_unavailable', async () => {
    // Port 9 (discard) has no listener on loopback.
    const connection = Connection.lazy({ address: '127.0.0.1:9' });
    connections.push(connection);
    const workflows = createTemporalWorkflows({
      client: new Client({ connection }),
      searchAttributesAvailable: () => Promise.resolve(true),
    });
    const calls = [
      workflows.start(input, { mode: 'first', deadlineMs: 300 }),
      workflows.query('ftjob-abc', 300),
      workflows.signalCancel('ftjob-abc', 'api', 300),
      workflows.signalRefresh('ftjob-abc', 300),
      workflows.control('ftjob-abc', 'pause', 300),
      workflows.describe('ftjob-abc', 300),
    ];
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'temporal_unavailable' } });
    }
  });
});
