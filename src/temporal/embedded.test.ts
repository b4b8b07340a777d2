import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { SearchAttributeType, defineSearchAttributeKey } from '@temporalio/common';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { readPidFile } from '../processes/pid-file.js';
import { startEmbeddedTemporal } from './embedded.js';
import type { EmbeddedTemporal, StartEmbeddedTemporalOptions } from './embedded.js';
import { findTemporal } from './finder.js';

let executable: string;
let home: string;
let started: EmbeddedTemporal[];

beforeAll(async () => {
  const found = await findTemporal({ environment: process.env, log: () => undefined });
  executable = found.path;
}, 900_000);

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tunesmith-temporal-'));
  started = [];
});

afterEach(async () => {
  for (const temporal of started) await temporal.stop();
  await rm(home, { recursive: true, force: true });
});

const start = async (more: Partial<StartEmbeddedTemporalOptions> = {}): Promise<EmbeddedTemporal> => {
  const temporal = await startEmbeddedTemporal({ executable, home, log: () => undefined, ...more });
  started.push(temporal);
  return temporal;
};

const withClient = async <Result>(
  temporal: EmbeddedTemporal,
  use: (client: Client) => Promise<Result>,
): Promise<Result> => {
  const connection = await Connection.connect({ address: temporal.address });
  try {
    return await use(new Client({ connection, namespace: temporal.namespace }));
  } finally {
    await connection.close();
  }
};

const retentionSeconds = (temporal: EmbeddedTemporal): Promise<number> =>
  withClient(temporal, async (client) => {
    const described = await client.workflowService.describeNamespace({ namespace: temporal.namespace });
    return Number(described.config?.workflowExecutionRetentionTtl?.seconds);
  });

const countWaiting = (temporal: EmbeddedTemporal): Promise<number> =>
  withClient(temporal, async (client) => {
    const { count } = await client.workflow.count(`TunesmithStatus = 'waiting' AND ExecutionStatus = 'Running'`);
    return count;
  });

describe('the embedded Temporal server', () => {
  it('keeps a workflow, its search attributes and the retention of 30 days over a stop and a start', async () => {
    const searchAttributes = { TunesmithStatus: 'Keyword' } as const;
    const first = await start({ namespace: 'tuning', searchAttributes });
    expect(first.status().state).toBe('ready');
    expect(await retentionSeconds(first)).toBe(30 * 24 * 60 * 60);
    await withClient(first, (client) =>
      client.workflow.start('waits', {
        taskQueue: 'nobody',
        workflowId: 'kept',
        typedSearchAttributes: [
          { key: defineSearchAttributeKey('TunesmithStatus', SearchAttributeType.KEYWORD), value: 'waiting' },
        ],
      }),
    );
    const page = await fetch(first.uiUrl);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<html');
    await first.stop();
    expect(first.status()).toMatchObject({ state: 'stopped', restarts: 0, pid: undefined });

    const second = await start({
      namespace: 'tuning',
      searchAttributes: { ...searchAttributes, TunesmithModel: 'Keyword' },
    });
    expect(await retentionSeconds(second)).toBe(30 * 24 * 60 * 60);
    const description = await withClient(second, (client) => client.workflow.getHandle('kept').describe());
    expect(description.status.name).toBe('RUNNING');
    await vi.waitFor(async () => expect(await countWaiting(second)).toBe(1), 20_000);
  });

  it('is started again on the same ports when its process is killed', async () => {
    const temporal = await start();
    const before = temporal.status();
    await withClient(temporal, (client) =>
      client.workflow.start('waits', { taskQueue: 'nobody', workflowId: 'survives' }),
    );
    process.kill(before.pid!, 'SIGKILL');
    await vi.waitFor(() => expect(temporal.status()).toMatchObject({ state: 'ready', restarts: 1 }), 30_000);
    expect(temporal.status().pid).not.toBe(before.pid);
    expect(readPidFile(join(home, 'temporal.pid.json'))?.pid).toBe(temporal.status().pid);
    const description = await withClient(temporal, (client) => client.workflow.getHandle('survives').describe());
    expect(description.status.name).toBe('RUNNING');
  });

  it('names the variable to change when its port is taken', async () => {
    const first = await start();
    const port = Number(first.address.split(':')[1]);
    const other = await mkdtemp(join(tmpdir(), 'tunesmith-temporal-'));
    await expect(start({ home: other, port })).rejects.toThrow(`port ${port} for Temporal is in use`);
    await rm(other, { recursive: true });
  });
});
