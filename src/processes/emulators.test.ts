import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startEmulators } from './emulators.js';
import { pickFreePort } from './free-port.js';

let home: string;
let entry: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tunesmith-emulators-'));
  entry = join(home, 'process.cjs');
  await writeFile(
    entry,
    `const { parseArgs } = require('node:util');
     const { values } = parseArgs({ options: { host: { type: 'string' }, port: { type: 'string' }, journal: { type: 'string' } } });
     require('node:http')
       .createServer((request, response) => response.end(JSON.stringify({ data: [], journal: values.journal })))
       .listen(Number(values.port), values.host);`,
  );
});

afterEach(() => rm(home, { recursive: true, force: true }));

describe('the emulators as a child process', () => {
  it('answer on the configured port, keep their journal in the home, and come back there when they are killed', async () => {
    const port = await pickFreePort();
    const emulators = await startEmulators({ home, port, entry, log: () => undefined });
    try {
      expect(emulators.url).toBe(`http://127.0.0.1:${port}`);
      const answer = await fetch(`${emulators.url}/__emulator/jobs`);
      expect(await answer.json()).toEqual({ data: [], journal: join(home, 'emulators') });
      process.kill(emulators.status().pid!, 'SIGKILL');
      await vi.waitFor(() => expect(emulators.status()).toMatchObject({ state: 'ready', restarts: 1 }), 30_000);
      expect((await fetch(`${emulators.url}/__emulator/jobs`)).status).toBe(200);
    } finally {
      await emulators.stop();
    }
    await expect(fetch(`${emulators.url}/__emulator/jobs`)).rejects.toThrow();
  });

  it('take a free port when none is configured', async () => {
    const emulators = await startEmulators({ home, port: 0, entry, log: () => undefined });
    expect((await fetch(`${emulators.url}/__emulator/jobs`)).status).toBe(200);
    await emulators.stop();
  });
});
