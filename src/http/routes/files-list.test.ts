import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestGateway, type TestGateway } from '../test-support/test-gateway.js';

const ROWS = '{"messages":[]}\n';
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway.stop());

describe('the list', () => {
  let lister: OpenAI;
  let ids: string[];
  beforeAll(async () => {
    lister = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.otherKey, maxRetries: 0 });
    ids = [];
    for (let index = 0; index < 7; index += 1) {
      const purpose = index % 2 === 0 ? 'fine-tune' : 'batch';
      ids.push((await lister.files.create({ file: await toFile(Buffer.from(ROWS), `${index}.jsonl`), purpose })).id);
    }
  });

  test('is newest first, in pages, each file once', async () => {
    const seen: string[] = [];
    for await (const file of lister.files.list({ limit: 3 })) seen.push(file.id);
    expect(seen).toEqual([...ids].reverse());
    const ascending: string[] = [];
    for await (const file of lister.files.list({ limit: 2, order: 'asc' })) ascending.push(file.id);
    expect(ascending).toEqual(ids);
  });

  test('tells first, last and whether there is more', async () => {
    const first = await gateway.call('GET', '/v1/files?limit=3&order=asc', { key: gateway.otherKey });
    expect(first.json).toMatchObject({ object: 'list', first_id: ids[0], last_id: ids[2], has_more: true });
    const all = await gateway.call('GET', '/v1/files', { key: gateway.otherKey });
    expect(all.json).toMatchObject({ first_id: ids[6], last_id: ids[0], has_more: false });
    const none = await gateway.call('GET', '/v1/files?purpose=evals', { key: gateway.otherKey });
    expect(none.json).toEqual({ object: 'list', data: [], first_id: null, last_id: null, has_more: false });
  });

  test('filters by purpose', async () => {
    const page = await lister.files.list({ purpose: 'batch', order: 'asc' });
    expect(page.data.map((file) => file.id)).toEqual([ids[1], ids[3], ids[5]]);
  });

  test.each(['limit=0', 'limit=10001', 'limit=x', 'limit=1&limit=2', 'order=up', 'status=processed'])(
    'refuses ?%s, naming it',
    async (query) => {
      const answer = await gateway.call('GET', `/v1/files?${query}`);
      expect(answer.status).toBe(400);
      expect(answer.json.error).toMatchObject({ param: query.split('=')[0] });
    },
  );

  test('refuses a cursor that is unknown or of another workspace', async () => {
    for (const after of ['file-unknown', ids[0]!, 'nonsense', '..']) {
      const answer = await gateway.call('GET', `/v1/files?after=${after}`);
      expect(answer).toMatchObject({
        status: 404,
        json: { error: { message: `No such File object: ${after}`, param: 'after' } },
      });
    }
  });
});

describe('the mode rule', () => {
  test('sends a provider header to client mode, which this version refuses by name', async () => {
    for (const headers of [
      { 'x-portkey-provider': 'openai' },
      { 'x-portkey-virtual-key': 'sandbox' },
      { 'x-portkey-config': '{"provider":"openai"}' },
      { 'x-portkey-config': '{"targets":[{"provider":"openai"}]}' },
      { 'x-portkey-config': 'pc-stored' },
    ]) {
      const answer = await gateway.call('GET', '/v1/files', { headers });
      expect(answer.json.error).toMatchObject({
        code: 'unsupported_operation',
        message: expect.stringContaining(Object.keys(headers)[0]!),
      });
    }
  });

  test('does not mind other headers of Portkey, nor empty ones', async () => {
    const headers = {
      'x-portkey-trace-id': 'x',
      'x-portkey-metadata': '{}',
      'x-portkey-provider': '',
      'x-portkey-config': '{"retry":{"attempts":2}}',
    };
    expect((await gateway.call('GET', '/v1/files', { headers })).status).toBe(200);
  });
});
