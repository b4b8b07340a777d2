import { connect, type Socket } from 'node:net';
import { memoryUsage } from 'node:process';
import { afterEach, describe, expect, test } from 'vitest';
import { GatewayError } from '../domain/errors.js';
import { startTestGateway, WORKSPACE, type TestGateway, type TestGatewayOptions } from './test-support/test-gateway.js';

const BOUNDARY = 'boundary';
const HEAD = [
  `--${BOUNDARY}`,
  'Content-Disposition: form-data; name="purpose"',
  '',
  'fine-tune',
  `--${BOUNDARY}`,
  'Content-Disposition: form-data; name="file"; filename="train.jsonl"',
  'Content-Type: application/octet-stream',
  '',
  '',
].join('\r\n');
const TAIL = `\r\n--${BOUNDARY}--\r\n`;

let gateway: TestGateway;
const start = async (options: TestGatewayOptions = {}): Promise<TestGateway> =>
  (gateway = await startTestGateway(options));
afterEach(() => gateway.stop());

interface RawUpload {
  readonly socket: Socket;
  /** All that came back. */
  received(): string;
  write(bytes: string | Uint8Array): Promise<void>;
}

/** An upload by hand, to send it in ways that no client library does. */
async function rawUpload(contentLength: number): Promise<RawUpload> {
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => (received += chunk.toString()));
  socket.on('error', () => undefined);
  const write = (bytes: string | Uint8Array): Promise<void> =>
    new Promise((resolve) => {
      socket.write(bytes, () => resolve());
    });
  await write(
    `POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.key}\r\nContent-Type: multipart/form-data; boundary=${BOUNDARY}\r\nContent-Length: ${contentLength}\r\n\r\n`,
  );
  return { socket, received: () => received, write };
}

const rows = async (): Promise<number> =>
  (await gateway.repository.list(WORKSPACE, { limit: 100, order: 'asc' })).files.length;

describe('an upload', () => {
  test('that is broken off leaves no file and no row, and no error in the log', async () => {
    await start();
    const upload = await rawUpload(50_000_000);
    await upload.write(HEAD);
    for (let index = 0; index < 10; index += 1) await upload.write(Buffer.alloc(200_000, 'x'));
    await expect.poll(async () => (await gateway.storedFiles()).length).toBe(1);
    upload.socket.destroy();
    await expect.poll(() => gateway.storedFiles()).toEqual([]);
    await expect.poll(() => gateway.logLines.some((line) => line.includes('"status":499'))).toBe(true);
    expect(await rows()).toBe(0);
    expect(gateway.logLines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });

  test('that comes one byte at a time is stored as it is', async () => {
    await start();
    const content = '{"messages":[]}\n'.repeat(20);
    const body = HEAD + content + TAIL;
    const upload = await rawUpload(body.length);
    upload.socket.setNoDelay(true);
    for (const byte of Buffer.from(body)) await upload.write(Uint8Array.of(byte));
    await expect.poll(() => upload.received()).toContain('"status":"processed"');
    upload.socket.destroy();
    const id = /file-[a-z0-9]{24}/.exec(upload.received())![0];
    const response = await fetch(`${gateway.url}/v1/files/${id}/content`, {
      headers: { authorization: `Bearer ${gateway.key}` },
    });
    expect(await response.text()).toBe(content);
  });

  test('whose content looks like the boundary is stored as it is', async () => {
    await start();
    const content = `\r\n--${BOUNDARY.slice(0, -1)}\r\n--\r\n-\r\n\r\n--bound`;
    const body = HEAD + content + TAIL;
    const upload = await rawUpload(body.length);
    await upload.write(body);
    await expect.poll(() => upload.received()).toContain(`"bytes":${content.length}`);
    upload.socket.destroy();
  });

  test('of 200 MB takes little memory', async () => {
    await start();
    const upload = await rawUpload(HEAD.length + 200 * 1024 * 1024 + TAIL.length);
    await upload.write(HEAD);
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    const before = memoryUsage().rss;
    let peak = before;
    for (let index = 0; index < 200; index += 1) {
      await upload.write(chunk);
      peak = Math.max(peak, memoryUsage().rss);
    }
    await upload.write(TAIL);
    await expect.poll(() => upload.received(), { timeout: 30_000 }).toContain(`"bytes":${200 * 1024 * 1024}`);
    upload.socket.destroy();
    const growthMiB = Math.round((peak - before) / 1024 / 1024);
    console.log(`memory grew by ${growthMiB} MiB during an upload of 200 MiB`);
    expect(growthMiB).toBeLessThan(100);
  });

  test('waits, together with its client, while the store is slow', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    await start({
      wrapStore: (store) => ({
        ...store,
        put: async (id, content, options) => {
          await released;
          return store.put(id, content, options);
        },
      }),
    });
    const size = 64 * 1024 * 1024;
    const upload = await rawUpload(HEAD.length + size + TAIL.length);
    await upload.write(HEAD);
    const sent = upload.write(Buffer.alloc(size, 'x')).then(() => upload.write(TAIL));
    // The socket's buffers fill and then nothing moves: the client still holds most of it.
    let last = -1;
    await expect
      .poll(() => {
        const same = upload.socket.bytesWritten - upload.socket.writableLength === last;
        last = upload.socket.bytesWritten - upload.socket.writableLength;
        return same && upload.socket.writableLength > 0;
      })
      .toBe(true);
    expect(upload.received()).toBe('');
    release();
    await sent;
    await expect.poll(() => upload.received(), { timeout: 30_000 }).toContain(`"bytes":${size}`);
    upload.socket.destroy();
  });

  test('over the limit is answered though the client is still sending', async () => {
    await start({ maxFileBytes: 1024 * 1024 });
    const upload = await rawUpload(4 * 1024 * 1024);
    await upload.write(HEAD);
    for (let index = 0; index < 3; index += 1) await upload.write(Buffer.alloc(1024 * 1024 - 1_000, 'x'));
    await expect.poll(() => upload.received()).toContain('413');
    expect(upload.received()).toContain('payload_too_large');
    expect(await gateway.storedFiles()).toEqual([]);
    upload.socket.destroy();
  });

  test('to a full disk is 507 and leaves nothing', async () => {
    await start({
      wrapStore: (store) => ({
        ...store,
        put: async (_id, content) => {
          for await (const chunk of content) if (chunk.byteLength > 0) break;
          throw new GatewayError('storage_full', 'The file store is full; nothing of the file was kept.');
        },
      }),
    });
    const form = new FormData();
    form.append('purpose', 'fine-tune');
    form.append('file', new Blob(['x'.repeat(3_000_000)]), 'a.jsonl');
    const answer = await gateway.call('POST', '/v1/files', { body: form });
    expect(answer.status).toBe(507);
    expect(answer.json.error).toMatchObject({ code: 'storage_full', message: expect.stringContaining('full') });
    expect(await rows()).toBe(0);
  });

  test('whose row is refused leaves no content', async () => {
    await start({
      wrapRepository: (repository) => ({
        ...repository,
        insert: () => Promise.reject(new Error('refused')),
      }),
    });
    const form = new FormData();
    form.append('purpose', 'fine-tune');
    form.append('file', new Blob(['{}\n']), 'a.jsonl');
    const answer = await gateway.call('POST', '/v1/files', { body: form });
    expect(answer).toMatchObject({ status: 500, json: { error: { code: 'internal_error' } } });
    expect(await gateway.storedFiles()).toEqual([]);
  });
});
