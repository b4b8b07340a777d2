import { sql } from 'kysely';
import OpenAI, { toFile } from 'openai';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestGateway, type TestGateway } from '../test-support/test-gateway.js';

let gateway: TestGateway;
let client: OpenAI;
let reads: string[];
let begun: Promise<void>;
let goOn: () => void;

beforeEach(async () => {
  reads = [];
  let begin = (): void => undefined;
  begun = new Promise((resolve) => (begin = resolve));
  const allowed = new Promise<void>((resolve) => (goOn = resolve));
  gateway = await startTestGateway({
    wrapStore: (store) => ({
      ...store,
      async open(id, range) {
        reads.push(id);
        begin();
        await allowed;
        return store.open(id, range);
      },
    }),
  });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 });
});
afterEach(() => gateway.stop());

async function uploadOf(...contents: readonly string[]): Promise<{ id: string; partIds: string[] }> {
  const bytes = contents.join('').length;
  const { id } = await client.uploads.create({ bytes, filename: 'a.jsonl', purpose: 'fine-tune', mime_type: 'x' });
  const partIds: string[] = [];
  for (const content of contents) {
    partIds.push((await client.uploads.parts.create(id, { data: await toFile(Buffer.from(content)) })).id);
  }
  return { id, partIds };
}

test('a complete goes on when its client leaves, and the retry gets what came of it, without a second pass', async () => {
  const { id, partIds } = await uploadOf('ab', 'cd');
  const leaving = new AbortController();
  const first = client.uploads.complete(id, { part_ids: partIds }, { signal: leaving.signal });
  first.catch(() => undefined);
  await begun;
  leaving.abort();
  await expect(first).rejects.toThrow('aborted');
  await expect.poll(() => gateway.logLines.some((line) => line.includes('"status":499'))).toBe(true);
  const retry = client.uploads.complete(id, { part_ids: partIds });
  goOn();
  const { file } = await retry;
  expect(reads).toEqual(partIds);
  expect(await (await client.files.content(file!.id)).text()).toBe('abcd');
});

test('a complete whose client leaves is finished without anybody asking again', async () => {
  const { id, partIds } = await uploadOf('ab');
  const leaving = new AbortController();
  const first = client.uploads.complete(id, { part_ids: partIds }, { signal: leaving.signal });
  first.catch(() => undefined);
  await begun;
  leaving.abort();
  goOn();
  await expect.poll(async () => (await client.files.list()).data.length).toBe(1);
});

test('an upload has 20,000 parts at the most, and a complete can name as many', async () => {
  const { id } = await uploadOf('ab'.repeat(50_000));
  const { database } = gateway.testDatabase;
  await sql`
    INSERT INTO upload_parts (id, upload_id, size_bytes, sha256)
    SELECT 'part_' || lpad(number::text, 24, '0'), ${id}, 1, '' FROM generate_series(2, 20000) AS number
  `.execute(database);
  const stored = (await gateway.storedFiles()).length;
  await expect(client.uploads.parts.create(id, { data: await toFile(Buffer.from('x')) })).rejects.toMatchObject({
    status: 400,
    param: 'data',
  });
  expect(await gateway.storedFiles()).toHaveLength(stored);
  const parts = await database.selectFrom('uploadParts').select('id').where('uploadId', '=', id).execute();
  const all = client.uploads.complete(id, { part_ids: parts.map((part) => part.id) });
  await expect(all).rejects.toMatchObject({
    status: 400,
    message: expect.stringContaining('The named parts have 119999 bytes together'),
  });
});
