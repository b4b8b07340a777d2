import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { createLocalFileStore } from './local.js';
import { startTestGateway } from '../http/test-support/test-gateway.js';
test('tmpfs full', async () => {
  const store = await createLocalFileStore('/tmp/fullfs/s');
  async function* c(n: number) { for (let i = 0; i < n; i++) yield Buffer.alloc(65536, i); }
  await expect(store.put('file-a', c(64), { maxBytes: 1e9 })).rejects.toMatchObject({ code: 'storage_full' });
  expect((await readdir('/tmp/fullfs/s', { recursive: true, withFileTypes: true })).filter((e) => e.isFile())).toEqual([]);
  await store.put('file-b', c(8), { maxBytes: 1e9 });
  const g = await startTestGateway({ wrapStore: () => store });
  const form = new FormData();
  form.append('file', new Blob(['x'.repeat(5e6)]), 'a.jsonl');
  form.append('purpose', 'fine-tune');
  const a = await g.call('POST', '/v1/files', { body: form });
  console.log(a.status, JSON.stringify(a.json));
  const { execFileSync } = await import('node:child_process');
  const { writeFileSync } = await import('node:fs');
  writeFileSync('/tmp/big.jsonl', 'x'.repeat(30e6));
  const { spawn } = await import('node:child_process');
  const run = (args: string[]) => new Promise<string>((r) => { let o = ''; const p = spawn('curl', ['-sS', '-i', ...args]); p.stdout.on('data', (d) => (o += d)); p.stderr.on('data', (d) => (o += d)); p.on('close', () => r(o)); });
  console.log(await run([g.url + '/v1/files', '-H', 'Authorization: Bearer ' + g.key, '-F', 'purpose=fine-tune', '-F', 'file=@/tmp/big.jsonl']));
  console.log(await run([g.url + '/v1/files', '-H', 'Authorization: Bearer bad', '-F', 'purpose=fine-tune', '-F', 'file=@/tmp/big.jsonl', '-H', 'Expect:']));
  await g.stop();
  void execFileSync;
});
