import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { createJobServiceSetup, viewOf, type JobServiceSetup } from '../../test/support/job-service.js';
import { GatewayError } from '../domain/errors.js';
import { parseCreateJob } from '../http/schemas/job-request.js';
import type { JobRow } from '../store/jobs.js';
import { createJobCheckpointsRepository } from '../store/job-checkpoints.js';
import { createJobEventsRepository } from '../store/job-events.js';
import { createJobReader, mergeView } from './read-job.js';

let database: TestDatabase;
let setup: JobServiceSetup;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.drop();
});
beforeEach(async () => {
  for (const table of ['jobCheckpoints', 'jobEvents', 'jobs', 'virtualKeys', 'files'] as const) {
    await database.database.deleteFrom(table).execute();
  }
  setup = await createJobServiceSetup(database.database);
});

async function newJob(addition: object = {}): Promise<JobRow> {
  const row = await setup.service.create({
    caller: setup.caller,
    request: parseCreateJob({ model: 'gpt-4o-mini', training_file: 'file-train', ...addition }),
    idempotencyKey: null,
    retryCount: 0,
    stillWanted: () => true,
  });
  if (row === null) throw new Error('the create was abandoned');
  return setup.jobs.get(row.id);
}

const get = (id: string): Promise<JobRow> => setup.service.read.get(setup.caller.workspaceId, id);
const record = (id: string, runId: string, sequence: number, status: 'queued' | 'running' | 'succeeded') =>
  setup.jobs.recordState(id, { runId, sequence }, { status, phase: status === 'succeeded' ? 'finished' : 'waiting' });

describe('reading a job', () => {
  it('is 404 for an id that is unknown or belongs to another workspace', async () => {
    const row = await newJob();
    await expect(setup.service.read.get('ws_other', row.id)).rejects.toMatchObject({ code: 'job_not_found' });
    await expect(get('ftjob-none')).rejects.toMatchObject({
      code: 'job_not_found',
      param: 'fine_tune_id',
      message: 'Could not find fine tune: ftjob-none',
    });
  });

  it('answers from the row where the query fails', async () => {
    const row = await newJob();
    await record(row.id, 'a', 1, 'running');
    setup.workflows.down = true;
    expect(await get(row.id)).toMatchObject({ status: 'running', phase: 'waiting' });
  });

  it("takes the workflow's state where the row was read too early to have it", async () => {
    const row = await newJob();
    await record(row.id, 'a', 1, 'queued');
    setup.workflows.views.set(
      row.id,
      viewOf(row, { runId: 'a', sequence: 2 }, { status: 'running', phase: 'waiting' }),
    );
    expect(await get(row.id)).toMatchObject({ status: 'running' });
  });

  it('never goes back, whatever an older answer of the workflow says', async () => {
    const row = await newJob();
    await record(row.id, 'a', 1, 'queued');
    await record(row.id, 'b', 1, 'running');
    for (const version of [
      { runId: 'b', sequence: 1 },
      { runId: 'b', sequence: 0 },
      { runId: 'a', sequence: 9 },
      { runId: 'c', sequence: 0 },
    ]) {
      setup.workflows.views.set(row.id, viewOf(row, version, { status: 'queued' }));
      expect(await get(row.id)).toMatchObject({ status: 'running', phase: 'waiting' });
    }
    setup.workflows.views.set(
      row.id,
      viewOf(row, { runId: 'c', sequence: 1 }, { status: 'queued', phase: 'uploading' }),
    );
    expect(await get(row.id)).toMatchObject({ status: 'running', phase: 'uploading' });
  });

  it('asks nobody about a finished job', async () => {
    const row = await newJob();
    await record(row.id, 'a', 1, 'succeeded');
    expect(await get(row.id)).toMatchObject({ status: 'succeeded' });
    expect(setup.workflows.queries).toEqual([]);
  });

  it('shares one query among concurrent reads, and keeps none', async () => {
    const row = await newJob();
    let found = 0;
    let allFound = (): void => undefined;
    const gate = new Promise<void>((resolve) => (allFound = resolve));
    // The query answers once every read has its row.
    setup.workflows.beforeQuery = () => gate.then(() => nextTurn());
    const reader = createJobReader({
      jobs: {
        list: (workspaceId, page) => setup.jobs.list(workspaceId, page),
        find: async (workspaceId, id) => {
          const each = await setup.jobs.find(workspaceId, id);
          found += 1;
          if (found === 16) allFound();
          return each;
        },
      },
      events: createJobEventsRepository(database.database),
      checkpoints: createJobCheckpointsRepository(database.database),
      workflows: setup.workflows,
    });
    const { workspaceId } = setup.caller;
    await Promise.all(Array.from({ length: 16 }, () => reader.get(workspaceId, row.id)));
    expect(setup.workflows.queries).toHaveLength(1);
    await reader.get(workspaceId, row.id);
    expect(setup.workflows.queries).toHaveLength(2);
  });

  it('merges a view of another job into nothing', async () => {
    const row = await newJob();
    const other = viewOf({ ...row, id: 'ftjob-other' }, { runId: 'x', sequence: 5 }, { status: 'failed' });
    expect(mergeView(row, other)).toBe(row);
  });
});

describe('lists', () => {
  it('page through jobs, newest first, and filter by metadata', async () => {
    const ids: string[] = [];
    for (const metadata of [{ team: 'a', run: '1' }, { team: 'a' }, null, { team: 'b' }]) {
      ids.unshift((await newJob({ metadata })).id);
    }
    const list = async (request: Partial<Parameters<typeof setup.service.read.list>[1]>) => {
      const page = await setup.service.read.list(setup.caller.workspaceId, {
        after: null,
        limit: 20,
        metadata: undefined,
        ...request,
      });
      return { ids: page.rows.map((row) => row.id), hasMore: page.hasMore };
    };
    expect(await list({})).toEqual({ ids, hasMore: false });
    expect(await list({ limit: 2 })).toEqual({ ids: ids.slice(0, 2), hasMore: true });
    expect(await list({ limit: 2, after: ids[1] ?? '' })).toEqual({ ids: ids.slice(2), hasMore: false });
    expect(await list({ metadata: { team: 'a' } })).toEqual({ ids: [ids[2], ids[3]], hasMore: false });
    expect(await list({ metadata: { team: 'a', run: '1' } })).toEqual({ ids: [ids[3]], hasMore: false });
    expect(await list({ metadata: null })).toEqual({ ids: [ids[1]], hasMore: false });
    await expect(list({ after: 'ftjob-none' })).rejects.toMatchObject({ code: 'invalid_request', param: 'after' });
  });

  it("of events and checkpoints refuse an unknown cursor and another workspace's job", async () => {
    const row = await newJob();
    const { read } = setup.service;
    const page = { after: 'none', limit: 10 };
    const { workspaceId } = setup.caller;
    await expect(read.events(workspaceId, row.id, page)).rejects.toMatchObject({ param: 'after' });
    await expect(read.checkpoints(workspaceId, row.id, page)).rejects.toMatchObject({ param: 'after' });
    await expect(read.events('ws_other', row.id, page)).rejects.toMatchObject({ code: 'job_not_found' });
    await expect(read.checkpoints('ws_other', row.id, page)).rejects.toMatchObject({ code: 'job_not_found' });
  });
});

describe('a cancel', () => {
  const cancel = (id: string): Promise<JobRow> => setup.service.cancel(setup.caller.workspaceId, id);

  it('is in the row before Temporal hears of it, and signalled once', async () => {
    const row = await newJob();
    const answer = await cancel(row.id);
    expect(answer.cancelRequestedAt).toBeInstanceOf(Date);
    expect(answer.status).toBe('validating_files');
    expect(setup.workflows.signals).toEqual([row.id]);
  });

  it('holds while Temporal is down', async () => {
    const row = await newJob();
    setup.workflows.down = true;
    expect((await cancel(row.id)).cancelRequestedAt).toBeInstanceOf(Date);
    expect(setup.logged).toHaveLength(1);
  });

  it('of a finished job is refused and changes nothing', async () => {
    const row = await newJob();
    await record(row.id, 'a', 1, 'succeeded');
    await expect(cancel(row.id)).rejects.toMatchObject({ code: 'invalid_job_state' });
    expect((await setup.jobs.get(row.id)).cancelRequestedAt).toBeNull();
    expect(setup.workflows.signals).toEqual([]);
  });

  it('of an unknown job is 404', async () => {
    await expect(cancel('ftjob-none')).rejects.toMatchObject({ code: 'job_not_found' });
  });
});

describe('pause and resume', () => {
  const pause = (id: string): Promise<JobRow> => setup.service.control(setup.caller.workspaceId, id, 'pause');

  it('answer with the job as the provider left it', async () => {
    const row = await newJob();
    await record(row.id, 'a', 1, 'running');
    setup.workflows.views.set(row.id, viewOf(row, { runId: 'a', sequence: 2 }, { status: 'paused', phase: 'waiting' }));
    expect(await pause(row.id)).toMatchObject({ status: 'paused' });
    expect(setup.workflows.controls).toEqual([`pause ${row.id}`]);
  });

  it('are refused, with no call, where the provider has no such thing', async () => {
    await setup.virtualKeys.create(setup.caller.workspaceId, {
      name: 'aws',
      slug: 'aws',
      provider: 'bedrock',
      settings: { apiKey: 'sk-aws' },
    });
    const row = await newJob({ portkey_options: { 'x-portkey-virtual-key': 'aws' } });
    await expect(pause(row.id)).rejects.toMatchObject({ code: 'unsupported_operation' });
    expect(setup.workflows.controls).toEqual([]);
  });

  it('are refused for a finished job, and as the provider refuses them', async () => {
    const row = await newJob();
    setup.workflows.refusal = new GatewayError('provider_wrong_state', 'not now');
    await expect(pause(row.id)).rejects.toMatchObject({ code: 'provider_wrong_state' });
    await record(row.id, 'a', 1, 'succeeded');
    await expect(pause(row.id)).rejects.toMatchObject({ code: 'invalid_job_state' });
  });

  it('are 503 while Temporal is down', async () => {
    const row = await newJob();
    setup.workflows.down = true;
    await expect(pause(row.id)).rejects.toMatchObject({ code: 'temporal_unavailable' });
  });
});
