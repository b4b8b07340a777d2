import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { createJobServiceSetup, type JobServiceSetup } from '../../test/support/job-service.js';
import { parseCreateJob } from '../http/schemas/job-request.js';
import { jobObject } from '../http/schemas/job-response.js';
import type { JobRow } from '../store/jobs.js';
import { JOB_OPTIONS_KIND } from './provider-options.js';

let database: TestDatabase;
let setup: JobServiceSetup;

beforeAll(async () => {
  database = await createTestDatabase({ maxConnections: 8 });
});
afterAll(async () => {
  await database.drop();
});
beforeEach(async () => {
  await database.database.deleteFrom('jobEvents').execute();
  await database.database.deleteFrom('jobs').execute();
  await database.database.deleteFrom('virtualKeys').execute();
  await database.database.deleteFrom('files').execute();
  setup = await createJobServiceSetup(database.database);
});

const minimal = { model: 'gpt-4o-mini', training_file: 'file-train' };

interface CreateOptions {
  readonly idempotencyKey?: string;
  readonly retryCount?: number;
  readonly stillWanted?: () => boolean;
}

function create(body: object = minimal, options: CreateOptions = {}): Promise<JobRow | null> {
  return setup.service.create({
    caller: setup.caller,
    request: parseCreateJob(body),
    idempotencyKey: options.idempotencyKey ?? null,
    retryCount: options.retryCount ?? 0,
    stillWanted: options.stillWanted ?? (() => true),
  });
}

async function created(body?: object, options?: CreateOptions): Promise<JobRow> {
  const row = await create(body, options);
  if (row === null) throw new Error('the create was abandoned');
  return row;
}

const countJobs = async (): Promise<number> =>
  (await database.database.selectFrom('jobs').select('id').execute()).length;

describe('a create', () => {
  it('commits the row, starts one workflow from the beginning, and answers with the job as accepted', async () => {
    const row = await created();
    expect(row).toMatchObject({
      status: 'validating_files',
      phase: 'accepted',
      virtualKeySlug: 'sandbox',
      sandbox: true,
    });
    expect(setup.workflows.starts).toHaveLength(1);
    expect(setup.workflows.starts[0]).toMatchObject({
      mode: 'first',
      input: { jobId: row.id, startAt: 'validate', provider: 'openai', cancelRequested: false, request: row.request },
    });
    expect((await setup.jobs.get(row.id)).workflowStartedAt).toBeInstanceOf(Date);
    const events = await setup.service.read.events(setup.caller.workspaceId, row.id, { after: null, limit: 20 });
    expect(events.rows.map((event) => event.message)).toEqual([`Created fine-tuning job: ${row.id}`]);
  });

  it('keeps a seed that was given, and chooses one where none was', async () => {
    expect((await created({ ...minimal, seed: 0 })).request).toMatchObject({ seed: 0, seedGiven: true });
    expect((await created()).request).toMatchObject({ seedGiven: false, seed: expect.any(Number) });
  });

  it('is accepted while Temporal is down', async () => {
    setup.workflows.down = true;
    const row = await created();
    expect((await setup.jobs.get(row.id)).workflowStartedAt).toBeNull();
    expect(setup.logged).toHaveLength(1);
  });

  it('makes nothing for a caller that has gone', async () => {
    expect(await create(minimal, { stillWanted: () => false })).toBeNull();
    expect(await countJobs()).toBe(0);
    expect(setup.workflows.starts).toEqual([]);
  });

  it('refuses a file that is unknown or has another purpose, naming the field', async () => {
    await setup.addFile('file-batch', 'batch');
    await expect(create({ ...minimal, training_file: 'file-none' })).rejects.toMatchObject({
      code: 'invalid_training_file',
      param: 'training_file',
    });
    await expect(create({ ...minimal, validation_file: 'file-batch' })).rejects.toMatchObject({
      code: 'invalid_training_file',
      param: 'validation_file',
    });
    expect(await countJobs()).toBe(0);
  });
});

describe('creating the same job again', () => {
  it('makes one job of 64 creates at once with one Idempotency-Key, and 64 equal answers', async () => {
    const answers = await Promise.all(Array.from({ length: 64 }, () => created(minimal, { idempotencyKey: 'once' })));
    expect(new Set(answers.map((row) => row.id)).size).toBe(1);
    expect(new Set(answers.map((row) => JSON.stringify(jobObject(row)))).size).toBe(1);
    expect(await countJobs()).toBe(1);
    expect(setup.workflows.starts).toHaveLength(1);
  });

  it('replays the first answer, whatever has become of the job, the key and the file', async () => {
    const first = await created(minimal, { idempotencyKey: 'once' });
    await setup.jobs.recordState(first.id, { runId: 'run', sequence: 1 }, { status: 'running', phase: 'waiting' });
    await setup.virtualKeys.create(setup.caller.workspaceId, {
      name: 'real',
      provider: 'openai',
      settings: { apiKey: 'sk-real' },
    });
    await database.database.deleteFrom('files').execute();
    const again = await created(minimal, { idempotencyKey: 'once' });
    expect(again).toMatchObject({ id: first.id, status: 'validating_files', phase: 'accepted' });
    expect(again.virtualKeySlug).toBe('sandbox');
  });

  it('takes spellings of the same body as the same, and refuses another body under the same key', async () => {
    const first = await created({ ...minimal, suffix: 'a' }, { idempotencyKey: 'once' });
    const reordered = { suffix: 'a', seed: null, training_file: 'file-train', model: 'gpt-4o-mini' };
    expect((await created(reordered, { idempotencyKey: 'once' })).id).toBe(first.id);
    await expect(create({ ...minimal, suffix: 'b' }, { idempotencyKey: 'once' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
    await expect(
      create({ ...minimal, suffix: 'a', portkey_options: { authorization: 'sk-other' } }, { idempotencyKey: 'once' }),
    ).rejects.toMatchObject({ code: 'idempotency_conflict' });
  });

  it('gives another workspace a job of its own under the same key', async () => {
    const mine = await created(minimal, { idempotencyKey: 'once' });
    const other = await setup.jobs.find('ws_other', mine.id);
    expect(other).toBeUndefined();
  });

  it.each([[''], ['x'.repeat(256)]])('refuses an Idempotency-Key of a wrong length', async (idempotencyKey) => {
    await expect(create(minimal, { idempotencyKey })).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'Idempotency-Key',
    });
  });

  it("answers a library's own retry with the job that the attempt before it made", async () => {
    const first = await created();
    const retry = await created(minimal, { retryCount: 1 });
    expect(retry.id).toBe(first.id);
    expect((await created({ ...minimal, suffix: 'other' }, { retryCount: 1 })).id).not.toBe(first.id);
    expect((await created()).id).not.toBe(first.id);
  });

  it("makes one job where a library's retries run side by side", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => created(minimal, { retryCount: 1 })));
    expect(new Set(answers.map((row) => row.id)).size).toBe(1);
  });

  it('does not take a retry for that of an older create', async () => {
    const first = await created();
    await database.database
      .updateTable('jobs')
      .set({ createdAt: new Date(Date.now() - 11 * 60_000) })
      .execute();
    expect((await created(minimal, { retryCount: 2 })).id).not.toBe(first.id);
  });
});

describe('the virtual key of a create', () => {
  const addKey = (slug: string, provider: 'openai' | 'bedrock', isDefault = false): Promise<unknown> =>
    setup.virtualKeys.create(setup.caller.workspaceId, {
      name: slug,
      slug,
      provider,
      isDefault,
      settings: { apiKey: `sk-${slug}` },
    });
  const named = (name: string, value: string): object => ({ ...minimal, portkey_options: { [name]: value } });

  it.each([
    ['x-portkey-virtual-key', 'team'],
    ['X-Portkey-Virtual-Key', '@team'],
    ['x-portkey-provider', '@team'],
  ])('is the one named by %s', async (name, value) => {
    await addKey('team', 'bedrock');
    await addKey('other', 'openai', true);
    expect(await created(named(name, value))).toMatchObject({
      virtualKeySlug: 'team',
      provider: 'bedrock',
      sandbox: false,
    });
  });

  it('is refused where the name is unknown, bare or contradicts another', async () => {
    await expect(create(named('x-portkey-virtual-key', 'sk-secret'))).rejects.toMatchObject({
      code: 'unknown_virtual_key',
      param: 'portkey_options.x-portkey-virtual-key',
      message: expect.not.stringContaining('sk-secret'),
    });
    await expect(create(named('x-portkey-provider', 'openai'))).rejects.toMatchObject({ code: 'invalid_request' });
    const both = { ...minimal, portkey_options: { 'x-portkey-virtual-key': 'a', 'x-portkey-provider': '@b' } };
    await expect(create(both)).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('is the only one whose vendor tunes the model', async () => {
    await addKey('first', 'openai');
    await addKey('second', 'bedrock');
    setup.vendors.openai.tunes.set('gpt-4o-mini', 'tunable');
    setup.vendors.bedrock.tunes.set('gpt-4o-mini', 'unlisted');
    expect(await created()).toMatchObject({ virtualKeySlug: 'first' });
    expect(await created({ ...minimal, model: 'amazon.titan' })).toMatchObject({ virtualKeySlug: 'second' });
  });

  it('is looked up by what the provider is asked to tune, where that has another name', async () => {
    await addKey('first', 'openai');
    await addKey('second', 'bedrock');
    const row = await created({ ...minimal, provider_options: { model: 'amazon.titan:4k' } });
    expect(row).toMatchObject({
      virtualKeySlug: 'second',
      request: { model: 'gpt-4o-mini', providerModel: 'amazon.titan:4k' },
    });
    expect(row.request.providerOptions).toBeUndefined();
  });

  it('is the default among several, and must be named where there is none', async () => {
    await addKey('first', 'openai');
    await addKey('second', 'openai');
    await expect(create()).rejects.toMatchObject({
      code: 'virtual_key_required',
      message: expect.stringMatching(/'first', 'second'/),
    });
    await addKey('third', 'openai', true);
    expect(await created()).toMatchObject({ virtualKeySlug: 'third' });
  });

  it('is a sandbox only while there is no other', async () => {
    expect(await created()).toMatchObject({ sandbox: true });
    await addKey('real', 'openai');
    expect(await created()).toMatchObject({ sandbox: false, virtualKeySlug: 'real' });
    expect(await created(named('x-portkey-virtual-key', 'sandbox'))).toMatchObject({ sandbox: true });
  });

  it('is missed where the workspace has none', async () => {
    await database.database.deleteFrom('virtualKeys').execute();
    await expect(create()).rejects.toMatchObject({ code: 'virtual_key_required' });
  });

  it('is refused with the model where every look-up says that it cannot be tuned', async () => {
    setup.vendors.openai.tunes.set('whisper-1', 'unlisted');
    await expect(create({ ...minimal, model: 'whisper-1' })).rejects.toMatchObject({
      code: 'model_not_available',
      param: 'model',
    });
  });

  it('goes to the vendor with a model that no list names, where it was named', async () => {
    setup.vendors.openai.tunes.set('private-model', 'unlisted');
    const row = await created({ ...named('x-portkey-virtual-key', 'sandbox'), model: 'private-model' });
    expect(row.request.model).toBe('private-model');
  });

  it('refuses a model that the vendor of the named key lists as not for tuning', async () => {
    setup.vendors.openai.tunes.set('gpt-4.1-nano', 'not_tunable');
    await expect(create({ ...named('x-portkey-virtual-key', 'sandbox'), model: 'gpt-4.1-nano' })).rejects.toMatchObject(
      { code: 'model_not_available', param: 'model' },
    );
  });

  it.each(['hangs', 'fails'] as const)('is not kept from its work by a look-up that %s', async (how) => {
    setup.vendors.openai.tunes.set('gpt-4o-mini', how);
    expect(await created()).toMatchObject({ virtualKeySlug: 'sandbox' });
  });
});

describe('options of a create', () => {
  it("seals what overrides the virtual key's settings, for this row alone", async () => {
    const row = await created({ ...minimal, portkey_options: { Authorization: 'sk-own', 'x-portkey-region': 'eu' } });
    const sealed = row.sealedOptions ?? Buffer.alloc(0);
    expect(sealed.includes('sk-own')).toBe(false);
    const context = { kind: JOB_OPTIONS_KIND, rowId: row.id, workspaceId: row.workspaceId };
    expect(setup.vault.open(sealed, context)).toEqual({ apiKey: 'sk-own', region: 'eu' });
    expect(JSON.stringify({ ...row, sealedOptions: null })).not.toContain('sk-own');
    expect(JSON.stringify(setup.workflows.starts)).not.toContain('sk-own');
  });

  it("never sends the virtual key's credentials to a host that the caller chose", async () => {
    const elsewhere = { 'x-portkey-custom-host': 'https://example.com/v1' };
    await expect(create({ ...minimal, portkey_options: elsewhere })).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'portkey_options.x-portkey-custom-host',
    });
    const row = await created({ ...minimal, portkey_options: { ...elsewhere, Authorization: 'sk-own' } });
    expect(row.sealedOptions).not.toBeNull();
  });

  it('seals nothing where nothing is overridden', async () => {
    expect((await created()).sealedOptions).toBeNull();
  });

  it('refuses an option that the provider does not have, and a value that its settings do not allow', async () => {
    await expect(create({ ...minimal, portkey_options: { 'x-portkey-aws-s3-bucket': 'b' } })).rejects.toMatchObject({
      code: 'unknown_parameter',
      param: 'portkey_options.x-portkey-aws-s3-bucket',
    });
    await expect(create({ ...minimal, portkey_options: { authorization: 'not-a-key' } })).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'portkey_options.authorization',
      message: expect.not.stringContaining('not-a-key'),
    });
  });

  it('lets keys at the top level override provider_options', async () => {
    const row = await created({ ...minimal, job_name: 'top', provider_options: { job_name: 'inner' } });
    expect(row.request.providerOptions).toEqual({ job_name: 'top' });
  });

  it.each([
    [{ flavour: 1 }, 'unknown_parameter', 'flavour'],
    [{ provider_options: { flavour: 1 } }, 'unknown_parameter', 'provider_options.flavour'],
    [{ job_name: 5 }, 'invalid_request', 'job_name'],
    [{ provider_options: { job_name: 5 } }, 'invalid_request', 'provider_options.job_name'],
    [{ provider_options: { model: 5 } }, 'invalid_request', 'provider_options.model'],
    [{ suffix: 'unsupported' }, 'unsupported_parameter', 'suffix'],
  ])('refuses %j, naming it', async (addition, code, param) => {
    await expect(create({ ...minimal, ...addition })).rejects.toMatchObject({ code, param });
    expect(await countJobs()).toBe(0);
  });
});
