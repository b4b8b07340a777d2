import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireHomeLock } from './home-lock.js';
import { identify } from './process-identity.js';
import { acquireProcessLock } from './process-lock.js';
import { runInOwnProcess, sourceUrl } from './test-support/own-process.js';

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tunesmith-lock-'));
});

afterEach(() => rm(home, { recursive: true, force: true }));

describe('the lock of a home', () => {
  it('is held by one process, whose id the second is told, until it is released', async () => {
    const lock = await acquireHomeLock(join(home, 'new'));
    await expect(acquireHomeLock(join(home, 'new'))).rejects.toThrow(`is in use by process ${process.pid}`);
    lock.release();
    (await acquireHomeLock(join(home, 'new'))).release();
  });

  it('does not outlive a process that was killed', async () => {
    const holder = await runInOwnProcess(`
      const { acquireHomeLock } = await import('${sourceUrl('processes/home-lock.ts')}');
      await acquireHomeLock(${JSON.stringify(home)});
      console.log('held');
      setInterval(() => {}, 1000);
    `);
    await expect(acquireHomeLock(home)).rejects.toThrow(`is in use by process ${holder.pid}`);
    await holder.kill();
    (await acquireHomeLock(home)).release();
  });

  it('goes to exactly one of many that find the lock of a dead process at once', async () => {
    const path = join(home, 'up.lock');
    for (let round = 0; round < 20; round += 1) {
      await rm(home, { recursive: true });
      await acquireProcessLock(path);
      await rm(`${path}.1`);
      await writeFile(`${path}.7`, JSON.stringify({ pid: process.pid, startedAt: 'another process, long ago' }));
      const outcomes = await Promise.all(Array.from({ length: 10 }, () => acquireProcessLock(path)));
      expect(outcomes.filter((outcome) => outcome.kind === 'acquired')).toHaveLength(1);
    }
    expect(await readdir(home)).toEqual(['up.lock.8']);
  });

  it('is taken over from a file that was never filled or is damaged', async () => {
    for (const content of ['', '{"pid":', '"released"']) {
      await writeFile(join(home, 'up.lock.40'), content);
      const lock = await acquireHomeLock(home);
      lock.release();
      await rm(home, { recursive: true });
      await acquireHomeLock(home).then((again) => again.release());
    }
  });
});

describe('the identity of a process', () => {
  it('is the same at every look and gone with the process', async () => {
    const other = await runInOwnProcess(`console.log('up'); setInterval(() => {}, 1000);`);
    const identity = identify(other.pid);
    expect(identity).toBeDefined();
    expect(identify(other.pid)).toEqual(identity);
    await other.kill();
    expect(identify(other.pid)).toBeUndefined();
  });
});
