import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAcceptance, type Acceptance } from '../support/acceptance.js';
import { chatRows } from '../support/datasets.js';
import { sharedSystem } from '../support/shared-system.js';

/** What `openai`'s Python library cuts a file into: 64 MiB. @see openai-python, resources/uploads (read 2026-11-23) */
const PART_BYTES = 64 * 1024 * 1024;

let setup: Acceptance;
let openai: OpenAI;

beforeAll(async () => {
  setup = await startAcceptance();
  const { url, apiKey } = sharedSystem();
  openai = new OpenAI({ apiKey, baseURL: `${url}/v1` });
});
afterAll(() => setup.close());

const digest = (algorithm: 'md5' | 'sha256', content: Uint8Array): string =>
  createHash(algorithm).update(content).digest('hex');
const contentOf = async (fileId: string): Promise<Buffer> =>
  Buffer.from(await (await openai.files.content(fileId)).arrayBuffer());
const pieces = (content: Buffer, sizeBytes: number): readonly Buffer[] =>
  Array.from({ length: Math.ceil(content.length / sizeBytes) }, (_, index) =>
    content.subarray(index * sizeBytes, (index + 1) * sizeBytes),
  );
const shuffled = <Item>(items: readonly Item[]): readonly Item[] =>
  items
    .map((item) => ({ item, at: Math.random() }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ item }) => item);

it("makes a file of 16 parallel parts in any order, by OpenAI's client, and trains on it", async () => {
  const content = Buffer.from(chatRows(2_000));
  const upload = await openai.uploads.create({
    filename: 'train.jsonl',
    purpose: 'fine-tune',
    bytes: content.length,
    mime_type: 'text/jsonl',
  });
  expect(upload).toMatchObject({ status: 'pending', expires_at: upload.created_at + 3_600 });
  const sizeBytes = Math.ceil(content.length / 16);
  const numbered = pieces(content, sizeBytes).map((piece, index) => ({ piece, index }));
  expect(numbered).toHaveLength(16);
  const partIds: string[] = [];
  await Promise.all(
    shuffled(numbered).map(async ({ piece, index }) => {
      partIds[index] = (await openai.uploads.parts.create(upload.id, { data: await toFile(piece) })).id;
    }),
  );
  const { status, file } = await openai.uploads.complete(upload.id, { part_ids: partIds });
  expect([status, file?.bytes]).toEqual(['completed', content.length]);
  expect(digest('sha256', await contentOf(file!.id))).toBe(digest('sha256', content));

  const { slug } = await setup.client.newVirtualKey(setup.emulators);
  const job = await setup.client.create({ virtualKey: slug, training_file: file!.id });
  expect(await setup.client.whenEnded(job.id)).toMatchObject({ status: 'succeeded', training_file: file!.id });
  await openai.files.delete(file!.id);
  await expect(openai.files.content(file!.id)).rejects.toMatchObject({ status: 404 });
});

it("takes what the Python library's upload_file_chunked sends: parts of 64 MiB, one after the other, and the MD5", async () => {
  // Rows are not looked at before a job.
  const content = randomBytes(PART_BYTES + 1_000_000);
  const upload = await openai.uploads.create({
    bytes: content.length,
    filename: 'big.jsonl',
    mime_type: 'text/jsonl',
    purpose: 'fine-tune',
  });
  const partIds: string[] = [];
  for (const piece of pieces(content, PART_BYTES)) {
    partIds.push((await openai.uploads.parts.create(upload.id, { data: await toFile(piece, 'upload') })).id);
  }
  const wrong = openai.uploads.complete(upload.id, { part_ids: partIds, md5: digest('md5', Buffer.from('other')) });
  await expect(wrong).rejects.toMatchObject({ status: 400, param: 'md5' });
  const md5 = digest('md5', content);
  const { file } = await openai.uploads.complete(upload.id, { part_ids: partIds, md5 });
  expect(digest('sha256', await contentOf(file!.id))).toBe(digest('sha256', content));
  await openai.files.delete(file!.id);
});

it('gives up an upload that is cancelled', async () => {
  const upload = await openai.uploads.create({
    filename: 'a.png',
    purpose: 'vision',
    bytes: 3,
    mime_type: 'image/png',
  });
  const part = await openai.uploads.parts.create(upload.id, { data: await toFile(Buffer.from('abc')) });
  expect((await openai.uploads.cancel(upload.id)).status).toBe('cancelled');
  await expect(openai.uploads.complete(upload.id, { part_ids: [part.id] })).rejects.toMatchObject({ status: 400 });
});

it("takes a file in every shape that OpenAI's client has for one", async () => {
  const content = Buffer.from(chatRows(50));
  const directory = await mkdtemp(join(tmpdir(), 'tunesmith-uploads-'));
  const path = join(directory, 'train.jsonl');
  await writeFile(path, content);
  const webStream = (): ReadableStream<Uint8Array> =>
    new ReadableStream({
      start(controller) {
        for (const piece of pieces(content, 1_000)) controller.enqueue(piece);
        controller.close();
      },
    });
  try {
    for (const [shape, file] of Object.entries({
      'a stream of Node': createReadStream(path),
      'a web stream': await toFile(webStream(), 'train.jsonl'),
      'a Response': await toFile(new Response(webStream()), 'train.jsonl'),
      'a Blob': await toFile(new Blob([new Uint8Array(content)]), 'train.jsonl'),
      'a File': new File([new Uint8Array(content)], 'train.jsonl'),
      'a Buffer': await toFile(content, 'train.jsonl'),
    })) {
      const made = await openai.files.create({ file, purpose: 'fine-tune' });
      expect([shape, made.filename, made.bytes]).toEqual([shape, 'train.jsonl', content.length]);
      expect((await contentOf(made.id)).equals(content)).toBe(true);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
