import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newHome } from './running-system.js';
import {
  largeDataset,
  sha256,
  startSeparateSystem,
  type SeparateSystem,
  type StoreUnderCrash,
} from './separate-system.js';
import { until } from './until.js';

const MIB = 1024 * 1024;

/** `kill -9` of gateway, worker and the store's server in the middle of everything that moves bytes. */
export function describeFileCrashes(name: string, openStore: (home: string) => Promise<StoreUnderCrash>): void {
  describe(`files on ${name}, when a process is killed`, () => {
    let system: SeparateSystem;
    const kept: string[] = [];
    beforeAll(async () => {
      system = await startSeparateSystem(openStore);
    });
    afterAll(() => system.close());
    beforeEach(() => system.emulators.clearFaults());

    const openAi = (): OpenAI => {
      const { url, apiKey } = system.address();
      return new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
    };
    const contentOf = async (fileId: string): Promise<Buffer> =>
      Buffer.from(await (await openAi().files.content(fileId)).arrayBuffer());

    /** A form whose file stops after `bytes`, until it is let go or the connection breaks. */
    const stallingUpload = (content: Buffer, path: string, field: string) => {
      const { url, apiKey } = system.address();
      const head = `--b\r\ncontent-disposition: form-data; name="${field}"; filename="data.jsonl"\r\n\r\n`;
      const purpose = '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n';
      let sent = 0;
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          if (sent === 0) controller.enqueue(Buffer.from((field === 'file' ? purpose : '') + head));
          if (sent >= content.length) await new Promise(() => undefined);
          controller.enqueue(content.subarray(sent, (sent += MIB)));
        },
      });
      return fetch(`${url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'multipart/form-data; boundary=b' },
        body,
        duplex: 'half',
      }).then(
        () => 'answered',
        () => 'cut off',
      );
    };
    const whenBytesAreThere = async (before: readonly string[]): Promise<unknown> =>
      until('half-written content', async () => (await system.store.stored()).length > before.length);
    const pendingUpload = (content: Buffer) =>
      openAi().uploads.create({
        filename: 'data.jsonl',
        purpose: 'fine-tune',
        bytes: content.length,
        mime_type: 'application/jsonl',
      });
    const part = async (uploadId: string, bytes: Buffer): Promise<string> =>
      (await openAi().uploads.parts.create(uploadId, { data: new File([bytes], 'part') })).id;

    it('an upload to us leaves no file and, after a sweep, no bytes', async () => {
      const before = await system.store.stored();
      const upload = stallingUpload(largeDataset(8 * MIB), '/v1/files', 'file');
      await whenBytesAreThere(before);
      await system.kill9('gateway');
      expect(await upload).toBe('cut off');
      await system.start('gateway');
      expect((await openAi().files.list()).data).toEqual([]);
      await system.sweepLeaves(kept);
    });

    it('a part is sent again, and the upload completed with the same bytes', async () => {
      const content = largeDataset(12 * MIB);
      const upload = await pendingUpload(content);
      const first = await part(upload.id, content.subarray(0, 6 * MIB));
      const before = await system.store.stored();
      const cut = stallingUpload(content.subarray(6 * MIB, 10 * MIB), `/v1/uploads/${upload.id}/parts`, 'data');
      await whenBytesAreThere(before);
      await system.kill9('gateway');
      expect(await cut).toBe('cut off');
      await system.start('gateway');
      const second = await part(upload.id, content.subarray(6 * MIB));
      const done = await openAi().uploads.complete(upload.id, { part_ids: [first, second] });
      expect(sha256(await contentOf(done.file?.id ?? ''))).toBe(sha256(content));
      kept.push(first, second);
      await system.sweepLeaves(kept);
    });

    it('joining is done once, or again', async () => {
      const content = largeDataset(24 * MIB);
      const upload = await pendingUpload(content);
      const parts = [await part(upload.id, content.subarray(0, MIB)), await part(upload.id, content.subarray(MIB))];
      const joining = openAi()
        .uploads.complete(upload.id, { part_ids: parts })
        .catch(() => 'cut off');
      await system.kill9('gateway');
      await joining;
      await system.start('gateway');
      const done = await openAi().uploads.complete(upload.id, { part_ids: parts });
      expect(done.status).toBe('completed');
      expect(sha256(await contentOf(done.file?.id ?? ''))).toBe(sha256(content));
      const named = (await openAi().files.list()).data.filter(({ id }) => id === done.file?.id);
      expect(named).toHaveLength(1);
      kept.push(...parts);
      await system.sweepLeaves(kept);
    });

    it('an upload to the provider goes on, and arrives once with the same bytes', async () => {
      const content = largeDataset(140 * MIB);
      const directory = await newHome();
      const path = join(directory, 'data.jsonl');
      await writeFile(path, content);
      const file = await openAi().files.create({ file: createReadStream(path), purpose: 'fine-tune' });
      kept.push(file.id);
      await system.emulators.jobSeconds(2);
      await system.emulators.forgetRequests();
      // The first part arrives; the second is under way when the worker dies.
      const firstPart = until('the first part', async () =>
        (await system.emulators.calls('addUploadPart')).some(({ status }) => status === 200),
      );
      const job = await system.client.create({ virtualKey: system.slug, training_file: file.id });
      await firstPart;
      await system.kill9('worker');
      await system.start('worker');
      const end = await system.client.whenEnded(job.id, { deadlineMs: 120_000 });
      expect(end).toMatchObject({ status: 'succeeded' });
      const vendor = new OpenAI({ baseURL: system.emulators.openAiUrl, apiKey: system.providerKey, maxRetries: 0 });
      const uploaded = (await vendor.files.list({ purpose: 'fine-tune' })).data;
      expect(uploaded).toHaveLength(1);
      const there = await (await vendor.files.content(uploaded[0]?.id ?? '')).arrayBuffer();
      expect(sha256(Buffer.from(there))).toBe(sha256(content));
      expect(await system.emulators.calls('createUpload')).toHaveLength(1);
      expect(await system.emulators.jobs()).toHaveLength(1);
    });
  });
}
