import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acceptedState } from '../../domain/job.js';
import { createJobsRepository, type NewJob } from '../../store/jobs.js';
import { startTestGateway, WORKSPACE, type TestGateway } from '../test-support/test-gateway.js';

const SECRET = 'sk-canary-vk-0123456789abcdef';
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway.stop());

let counter = 0;
const create = async (body: Record<string, unknown> = {}, key?: string) =>
  gateway.call('POST', '/v1/virtual-keys', {
    body: { name: `Key ${++counter}`, provider: 'openai', key: SECRET, ...body },
    ...(key === undefined ? {} : { key }),
  });

const openJob = (id: string, virtualKeyId: string, slug: string) =>
  gateway.testDatabase.database
    .insertInto('jobs')
    .values({
      id,
      workspaceId: WORKSPACE,
      apiKeyId: 'key_1',
      provider: 'openai',
      virtualKeyId,
      virtualKeySlug: slug,
      sandbox: false,
      request: '{}',
      requestHash: 'x',
      trainingFile: 'file-x',
      status: 'queued',
      phase: 'waiting',
      resultFiles: '[]',
      remoteFiles: '{}',
    })
    .execute();

const newJob = (id: string, virtualKeyId: string): NewJob => ({
  id,
  workspaceId: WORKSPACE,
  apiKeyId: 'key_1',
  provider: 'openai',
  virtualKeyId,
  virtualKeySlug: 'any',
  sandbox: false,
  request: {
    model: 'm',
    trainingFile: 'file-x',
    method: { type: 'supervised', hyperparameters: {} },
    seed: 1,
    seedGiven: false,
  },
  requestHash: id,
  idempotencyKey: null,
  sealedOptions: null,
});

describe('creating a virtual key', () => {
  test("answers in Portkey's shape, in both of its forms, without the credentials", async () => {
    const answer = await create({ name: 'My OpenAI key!', note: 'for tests', openaiProject: 'proj_1' });
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      success: true,
      data: { slug: 'my-openai-key' },
      object: 'virtual-key',
      id: expect.stringMatching(/^vk_/),
      slug: 'my-openai-key',
      name: 'My OpenAI key!',
      provider: 'openai',
      ai_provider_name: 'openai',
      note: 'for tests',
      status: 'active',
      sandbox: false,
      is_default: false,
      model_config: { openaiProject: 'proj_1' },
      usage_limits: null,
      rate_limits: null,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      last_updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
  });

  test('finds a free slug for a name that is used again, or that has no letters', async () => {
    await create({ name: 'same name' });
    expect((await create({ name: 'same name' })).json['slug']).toMatch(/^same-name-[0-9a-f]{6}$/);
    expect((await create({ name: '数据' })).json['slug']).toMatch(/^key-[0-9a-f]{6}$/);
  });

  test('with a slug that is taken is 409; in another workspace it is free', async () => {
    expect((await create({ slug: 'prod' })).status).toBe(200);
    expect(await create({ slug: 'prod' })).toMatchObject({
      status: 409,
      json: { error: { code: 'conflict', param: 'slug' } },
    });
    expect((await create({ slug: 'prod' }, gateway.otherKey)).status).toBe(200);
  });

  test('of 16 at once with one slug makes one', async () => {
    const answers = await Promise.all(Array.from({ length: 16 }, () => create({ slug: 'race' })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array.from({ length: 15 }, () => 409)]);
  });

  test.each([
    ['no name', { name: null }, 'name'],
    ['a provider that is not known', { provider: 'cohere' }, 'provider'],
    ['no credentials', { key: '' }, 'key'],
    ['credentials of a wrong type', { key: 12 }, 'key'],
    ['an option that the provider does not have', { awsRegion: 'us-east-1' }, 'awsRegion'],
    ['a bad slug', { slug: 'Not A Slug' }, 'slug'],
    ['a budget, which is not kept here', { usage_limits: { credit_limit: 10 } }, 'usage_limits'],
    ['another workspace', { workspace_id: 'ws_other' }, 'workspace_id'],
  ])('with %s is 400 and names it', async (_name, body, param) => {
    const answer = await create(body);
    expect(answer).toMatchObject({ status: 400, json: { error: { param, type: 'invalid_request_error' } } });
    expect(JSON.stringify(answer.json)).not.toContain('canary');
  });

  test('names the providers there are', async () => {
    expect((await create({ provider: 'cohere' })).json.error?.['message']).toContain('openai, bedrock');
  });

  test('takes what a typed client sends for nothing', async () => {
    const answer = await create({
      note: null,
      slug: '',
      workspace_id: '',
      usage_limits: null,
      rate_limits: [],
      apiVersion: null,
      resourceName: '',
    });
    expect(answer).toMatchObject({ status: 200, json: { note: null } });
  });

  test('keeps the credentials nowhere in the open', async () => {
    await create({ slug: 'sealed' });
    const { database } = gateway.testDatabase;
    const rows = await database.selectFrom('virtualKeys').selectAll().execute();
    expect(
      JSON.stringify(rows.map((row) => ({ ...row, sealedSettings: row.sealedSettings.toString('latin1') }))),
    ).not.toContain('canary');
    expect(gateway.logLines.join('')).not.toContain('canary');
    expect((await gateway.virtualKeys.resolve(WORKSPACE, '@sealed')).settings).toEqual({ key: SECRET });
  });
});

describe('a virtual key', () => {
  test('is read and listed, in its workspace alone', async () => {
    await create({ slug: 'mine' });
    const one = await gateway.call('GET', '/v1/virtual-keys/mine');
    expect(one.json).toMatchObject({ object: 'virtual-key', slug: 'mine' });
    const list = await gateway.call('GET', '/v1/virtual-keys');
    expect(list.json).toMatchObject({ object: 'list', total: (list.json['data'] as unknown[]).length });
    expect(list.json['data']).toContainEqual(one.json);
    expect(await gateway.call('GET', '/v1/virtual-keys/mine', { key: gateway.otherKey })).toMatchObject({
      status: 404,
      json: { error: { code: 'virtual_key_not_found' } },
    });
    const page = await gateway.call('GET', '/v1/virtual-keys?current_page=1&page_size=1');
    expect(page.json['data']).toEqual([(list.json['data'] as unknown[])[1]]);
    expect(page.json['total']).toBe(list.json['total']);
  });

  test.each(['PUT', 'PATCH'])('is changed by %s, and what is not named stays', async (method) => {
    const slug = `rotate-${method.toLowerCase()}`;
    const { json } = await create({ slug, note: 'old', openaiProject: 'proj_1' });
    const answer = await gateway.call(method, `/v1/virtual-keys/${slug}`, { body: { key: 'sk-rotated', name: 'New' } });
    expect(answer).toMatchObject({
      status: 200,
      json: { success: true, name: 'New', note: 'old', slug, model_config: { openaiProject: 'proj_1' } },
    });
    expect((await gateway.virtualKeys.resolveById(String(json['id']))).settings).toEqual({
      key: 'sk-rotated',
      openaiProject: 'proj_1',
    });
    await gateway.call(method, `/v1/virtual-keys/${slug}`, { body: { openaiProject: null, note: null } });
    expect((await gateway.virtualKeys.resolve(WORKSPACE, slug)).settings).toEqual({ key: 'sk-rotated' });
  });

  test('keeps its credentials when a change is refused', async () => {
    await create({ slug: 'stable' });
    for (const body of [{ key: 12 }, { unknown_thing: 1 }, { provider: 'bedrock' }, { slug: 'other' }]) {
      expect((await gateway.call('PUT', '/v1/virtual-keys/stable', { body })).status).toBe(400);
    }
    expect((await gateway.virtualKeys.resolve(WORKSPACE, 'stable')).settings).toEqual({ key: SECRET });
    expect((await gateway.call('PUT', '/v1/virtual-keys/none', { body: { name: 'x' } })).status).toBe(404);
  });

  test('that becomes the default takes that from the one before', async () => {
    await create({ slug: 'default-a', is_default: true });
    await create({ slug: 'default-b' });
    await gateway.call('PUT', '/v1/virtual-keys/default-b', { body: { is_default: true } });
    const defaults = (await gateway.virtualKeys.list(WORKSPACE)).filter((row) => row.isDefault).map((row) => row.slug);
    expect(defaults).toEqual(['default-b']);
  });

  test('that open jobs use is deleted only by force', async () => {
    const { json } = await create({ slug: 'busy' });
    await openJob('ftjob-busy', String(json['id']), 'busy');
    expect(await gateway.call('DELETE', '/v1/virtual-keys/busy')).toMatchObject({
      status: 409,
      json: { error: { code: 'virtual_key_in_use' } },
    });
    expect((await gateway.call('DELETE', '/v1/virtual-keys/busy?force=perhaps')).status).toBe(400);
    expect(await gateway.call('DELETE', '/v1/virtual-keys/busy?force=true')).toMatchObject({
      status: 200,
      json: { slug: 'busy', deleted: true },
    });
    for (const [method, body] of [['GET'], ['DELETE'], ['PUT', { name: 'x' }]] as const) {
      expect((await gateway.call(method, '/v1/virtual-keys/busy', { body })).status).toBe(404);
    }
    const listed = await gateway.call('GET', '/v1/virtual-keys');
    expect(JSON.stringify(listed.json['data'])).not.toContain('"busy"');
    await expect(gateway.virtualKeys.resolve(WORKSPACE, 'busy')).rejects.toMatchObject({ code: 'unknown_virtual_key' });
  });

  test('that was deleted by force serves its open jobs to their end, and no other', async () => {
    const { json } = await create({ slug: 'parting' });
    const id = String(json['id']);
    const resolved = () => gateway.virtualKeys.resolveById(id);
    await openJob('ftjob-parting', id, 'parting');
    await gateway.call('DELETE', '/v1/virtual-keys/parting?force=true');
    expect((await resolved()).settings).toEqual({ key: SECRET });

    const again = await create({ slug: 'parting', key: 'sk-second' });
    expect(again.status).toBe(200);
    expect(again.json['id']).not.toBe(id);
    expect((await gateway.virtualKeys.resolve(WORKSPACE, 'parting')).settings).toEqual({ key: 'sk-second' });
    const jobs = createJobsRepository(gateway.testDatabase.database);
    await expect(
      jobs.insert(newJob('ftjob-late', id), {
        sameWithinMs: null,
        state: acceptedState(),
        firstEvent: { sourceId: 'gateway:created', level: 'info', type: 'message', message: 'Created', data: {} },
        stillWanted: () => true,
      }),
    ).rejects.toMatchObject({ code: 'unknown_virtual_key' });

    await gateway.virtualKeys.removeDeleted();
    expect((await resolved()).settings).toEqual({ key: SECRET });
    await gateway.testDatabase.database
      .updateTable('jobs')
      .set({ status: 'failed', finishedAt: new Date(), remoteFiles: '{"training":"file-1"}' })
      .where('id', '=', 'ftjob-parting')
      .execute();
    expect(await gateway.virtualKeys.removeDeleted(), 'its upload is not cleaned up yet').toBe(0);
    expect((await resolved()).settings).toEqual({ key: SECRET });
    await gateway.testDatabase.database
      .updateTable('jobs')
      .set({ remoteFiles: '{}' })
      .where('id', '=', 'ftjob-parting')
      .execute();
    expect(await gateway.virtualKeys.removeDeleted()).toBe(1);
    await expect(resolved()).rejects.toMatchObject({ code: 'virtual_key_not_found' });
    expect((await gateway.call('GET', '/v1/virtual-keys/parting')).json).toMatchObject({ id: again.json['id'] });
  });

  test('that no open job uses is removed at once, by force too', async () => {
    const { json } = await create({ slug: 'idle' });
    expect((await gateway.call('DELETE', '/v1/virtual-keys/idle?force=true')).status).toBe(200);
    await expect(gateway.virtualKeys.resolveById(String(json['id']))).rejects.toMatchObject({
      code: 'virtual_key_not_found',
    });
  });

  test('of a sandbox is pointed anew by ensure, and keeps its id', async () => {
    const input = { name: 'Sandbox', slug: 'sandbox', provider: 'openai', sandbox: true, settings: { key: 'one' } };
    const first = await gateway.virtualKeys.ensure(WORKSPACE, input);
    const second = await gateway.virtualKeys.ensure(WORKSPACE, { ...input, settings: { key: 'two' } });
    expect(second.id).toBe(first.id);
    expect((await gateway.virtualKeys.resolve(WORKSPACE, 'sandbox')).settings).toEqual({ key: 'two' });
    await expect(gateway.virtualKeys.resolve(WORKSPACE, 'nope')).rejects.toMatchObject({ code: 'unknown_virtual_key' });
  });
});
