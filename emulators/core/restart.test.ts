import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { compileEmulators } from '../test-support/compiled.js';
import { chatRows, clientsOf, startForTest, uploadRows } from '../test-support/running.js';
import { createStateStore } from './journal.js';

const workspace = mkdtempSync(join(tmpdir(), 'emulators-restart-'));
const children: ChildProcess[] = [];
let entry: string;
let directory: string;

beforeAll(() => {
  entry = compileEmulators(join(workspace, 'compiled'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

function freshDirectory(): string {
  directory = mkdtempSync(join(workspace, 'journal-'));
  return directory;
}

async function startProcess(...extra: string[]) {
  const child = spawn(process.execPath, [entry, '--port', '0', '--journal', directory, ...extra], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const [line] = z.tuple([z.string()]).parse(await once(createInterface({ input: child.stdout }), 'line'));
  const ready = z.object({ event: z.literal('ready'), url: z.string() }).parse(JSON.parse(line));
  return { child, ...clientsOf(ready.url) };
}

test('after kill -9 and a restart, files, jobs, clock, settings, faults and requests are as before', async () => {
  freshDirectory();
  const first = await startProcess();
  await first.control('/clock', { job_seconds: 1000 });
  const rows = chatRows(300);
  const file = await uploadRows(first.client, rows);
  const body = { model: 'gpt-4o-mini', training_file: file.id, metadata: { marker: 'x' } };
  const job = await first.client.fineTuning.jobs.create(body);
  await first.advance(500);
  const events = await first.client.fineTuning.jobs.listEvents(job.id, { limit: 100 });
  await first.control('/settings', { provider: 'openai', revoked_credentials: ['sk-old'] });
  await first.control('/faults', { provider: 'openai', operation: 'listFiles', kind: 'reset', times: 2 });
  await expect(first.client.files.list()).rejects.toThrow();
  const exit = once(first.child, 'exit');
  first.child.kill('SIGKILL');
  await exit;
  appendFileSync(join(directory, 'journal.jsonl'), '{"c":"openai.jobs","k":"ftjob-half');

  const second = await startProcess();
  const again = await second.client.fineTuning.jobs.retrieve(job.id);
  expect(again).toMatchObject({ id: job.id, status: 'running', seed: job.seed, metadata: { marker: 'x' } });
  const eventsAgain = await second.client.fineTuning.jobs.listEvents(job.id, { limit: 100 });
  expect(eventsAgain.data.slice(-events.data.length)).toEqual(events.data);
  expect(await (await second.client.files.content(file.id)).text()).toBe(rows);
  await expect(second.clientFor('sk-old').models.list()).rejects.toMatchObject({ status: 401 });
  await expect(second.client.files.list()).rejects.toThrow('Connection error.');
  expect((await second.client.files.list()).data).toHaveLength(1);
  const { rows: calls } = await second.control('/requests?provider=openai');
  const creates = calls.filter((call) => call['operation'] === 'createFineTuningJob');
  expect(creates).toHaveLength(1);
  await second.advance(600);
  expect((await second.client.fineTuning.jobs.retrieve(job.id)).status).toBe('succeeded');
});

test('it lives on when its parent’s pipes are gone, and SIGTERM ends it with exit code 0', async () => {
  freshDirectory();
  const { child, client } = await startProcess('--log-level', 'info');
  child.stdout.destroy();
  child.stderr.destroy();
  for (let call = 0; call < 5; call += 1) await client.models.list();
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
});

test('a wrong option ends the process with 1', async () => {
  const child = spawn(process.execPath, [entry, '--port', 'many'], { stdio: 'ignore' });
  expect(await once(child, 'exit')).toEqual([1, null]);
});

test('an upload that the client breaks off leaves nothing behind', async () => {
  freshDirectory();
  const emulators = await startForTest({ journalDirectory: directory });
  const { hostname, port } = new URL(emulators.url);
  const content = join(directory, 'content');
  const head =
    'POST /openai/v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-a\r\n' +
    'Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n' +
    '--b\r\nContent-Disposition: form-data; name="file"; filename="half.jsonl"\r\n\r\n{"messages"';
  const socket = connect(Number(port), hostname, () => socket.write(head));
  await vi.waitFor(() => expect(readdirSync(content)).toHaveLength(1));
  socket.destroy();
  await vi.waitFor(() => expect(readdirSync(content)).toEqual([]));
  expect((await emulators.clientFor('sk-a').files.list()).data).toEqual([]);
  await emulators.close();
});

test('the journal forgets what was deleted, keeps its order and shrinks when it has grown', () => {
  freshDirectory();
  mkdirSync(directory, { recursive: true });
  const numbers = () => createStateStore(directory);
  const store = numbers();
  const before = store.collection('numbers', z.number());
  for (let index = 0; index < 30_000; index += 1) before.put(String(index % 3), index);
  before.delete('1');
  store.close();
  expect(statSync(join(directory, 'journal.jsonl')).size).toBeLessThan(
    15_000 * '{"c":"numbers","k":"0","v":29999}\n'.length,
  );
  const reopened = numbers();
  expect(reopened.collection('numbers', z.number()).values()).toEqual([29_997, 29_999]);
  expect(reopened.collection('others', z.number()).values()).toEqual([]);
  reopened.close();
});
