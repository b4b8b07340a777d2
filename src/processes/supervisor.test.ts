import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readPidFile, writePidFile } from './pid-file.js';
import { identify, isRunning } from './process-identity.js';
import { stopLeftover } from './stop-process.js';
import { startSupervisedChild } from './supervisor.js';
import type { ChildOptions, SupervisedChild } from './supervisor.js';
import { runInOwnProcess, sourceUrl } from './test-support/own-process.js';

let directory: string;
let messages: string[];
let started: SupervisedChild[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tunesmith-supervisor-'));
  messages = [];
  started = [];
});

afterEach(async () => {
  for (const child of started) await child.stop();
  await rm(directory, { recursive: true, force: true });
});

const READY = `require('node:fs').writeFileSync('ready', String(process.pid));`;
const STAY = `setInterval(() => {}, 1000);`;

const optionsFor = (script: string, more: Partial<ChildOptions> = {}): ChildOptions => ({
  name: 'sleeper',
  command: process.execPath,
  args: ['--eval', script],
  environment: {},
  workingDirectory: directory,
  logFile: join(directory, 'logs', 'sleeper.log'),
  pidFile: join(directory, 'sleeper.pid.json'),
  stopSignal: 'SIGTERM',
  stopDeadlineMs: 10_000,
  probe: async () => {
    const pid = Number(await readFile(join(directory, 'ready'), 'utf8'));
    if (pid !== readPidFile(join(directory, 'sleeper.pid.json'))?.pid) throw new Error('not the one that runs now');
  },
  readyDeadlineMs: 20_000,
  restartDelay: { minimumMs: 10, maximumMs: 20 },
  log: (message) => {
    messages.push(message);
  },
  ...more,
});

const start = async (script: string, more: Partial<ChildOptions> = {}): Promise<SupervisedChild> => {
  const child = await startSupervisedChild(optionsFor(script, more));
  started.push(child);
  return child;
};

describe('a supervised child', () => {
  it('is ready when its probe succeeds, is on record while it runs, and is gone after stop', async () => {
    const child = await start(READY + STAY);
    const { pid } = child.status();
    expect(child.status()).toMatchObject({ name: 'sleeper', state: 'ready', restarts: 0, lastError: undefined });
    expect(readPidFile(join(directory, 'sleeper.pid.json'))).toMatchObject({ pid, name: 'sleeper' });
    await Promise.all([child.stop(), child.stop()]);
    expect(identify(pid!)).toBeUndefined();
    expect(child.status()).toMatchObject({ state: 'stopped', pid: undefined });
    expect(existsSync(join(directory, 'sleeper.pid.json'))).toBe(false);
  });

  it('is started again, as often as it dies, and says so meanwhile', async () => {
    const child = await start(READY + STAY);
    for (const restarts of [1, 2]) {
      const { pid } = child.status();
      process.kill(pid!, 'SIGKILL');
      await vi.waitFor(() => expect(child.status()).toMatchObject({ state: 'ready', restarts }), 20_000);
      expect(child.status().pid).not.toBe(pid);
      expect(child.status().lastError).toBe('signal SIGKILL');
    }
    expect(messages.filter((message) => message.startsWith('sleeper ended (signal SIGKILL)'))).toHaveLength(2);
  });

  it('is tried again when a restart fails, until one succeeds', async () => {
    const script = `if (require('node:fs').existsSync('broken')) process.exit(3); ${READY}${STAY}`;
    const child = await start(script);
    await writeFile(join(directory, 'broken'), '');
    process.kill(child.status().pid!, 'SIGKILL');
    await vi.waitFor(() => expect(child.status().restarts).toBeGreaterThan(1), 20_000);
    expect(child.status().state).toBe('restarting');
    expect(child.status().lastError).toContain('exit code 3');
    await rm(join(directory, 'broken'));
    await vi.waitFor(() => expect(child.status().state).toBe('ready'), 20_000);
  });

  it('can be stopped between two starts', async () => {
    const child = await start(READY + STAY, { restartDelay: { minimumMs: 3_600_000, maximumMs: 3_600_000 } });
    process.kill(child.status().pid!, 'SIGKILL');
    await vi.waitFor(() => expect(child.status().state).toBe('restarting'), 20_000);
    await child.stop();
    expect(child.status()).toMatchObject({ state: 'stopped', restarts: 0 });
  });

  it('is killed when it does not stop in time', async () => {
    const child = await start(`process.on('SIGTERM', () => {}); ${READY}${STAY}`, { stopDeadlineMs: 50 });
    const { pid } = child.status();
    await child.stop();
    expect(identify(pid!)).toBeUndefined();
    expect(messages).toContain('sleeper did not stop within 50 ms and is killed');
  });

  it('fails its first start with what it printed when it ends before it is ready', async () => {
    const failure = start(`console.error('port is taken'); process.exit(4)`);
    await expect(failure).rejects.toThrow(/^sleeper ended before it was ready \(exit code 4\)[^]*port is taken$/);
    expect(existsSync(join(directory, 'sleeper.pid.json'))).toBe(false);
  });

  it('fails its first start, and is gone, when it is not ready in time', async () => {
    const pids: number[] = [];
    const probe = (): Promise<void> => {
      const pid = readPidFile(join(directory, 'sleeper.pid.json'))?.pid;
      if (pid !== undefined) pids.push(pid);
      return Promise.reject(new Error('no answer'));
    };
    await expect(start(STAY, { probe, readyDeadlineMs: 300 })).rejects.toThrow('within 300 ms (no answer)');
    expect(pids.length).toBeGreaterThan(0);
    expect(identify(pids[0]!)).toBeUndefined();
  });

  it('fails with a reason when there is no such program', async () => {
    await expect(start('', { command: join(directory, 'missing') })).rejects.toThrow(
      /sleeper cannot be started: .*ENOENT/,
    );
  });

  it('is not given our environment', async () => {
    process.env['TUNESMITH_TEST_SECRET'] = 'canary';
    try {
      await start(`console.log('sees', process.env.TUNESMITH_TEST_SECRET); ${READY}${STAY}`);
    } finally {
      delete process.env['TUNESMITH_TEST_SECRET'];
    }
    expect(await readFile(join(directory, 'logs', 'sleeper.log'), 'utf8')).toBe('sees undefined\n');
  });

  it('is stopped by the next start when its parent was killed', async () => {
    const script = `process.on('SIGTERM', () => { require('node:fs').writeFileSync('stopped', ''); process.exit() }); ${READY}${STAY}`;
    const options = optionsFor(script);
    const parent = await runInOwnProcess(`
      import { readFile } from 'node:fs/promises';
      const { startSupervisedChild } = await import('${sourceUrl('processes/supervisor.ts')}');
      const options = ${JSON.stringify(options)};
      const child = await startSupervisedChild({
        ...options, log: () => {}, probe: () => readFile(options.workingDirectory + '/ready'),
      });
      console.log(child.status().pid);
      setInterval(() => {}, 1000);
    `);
    const orphan = identify(Number(parent.firstLine))!;
    await parent.kill();
    expect(isRunning(orphan)).toBe(true);

    const child = await start(script);
    expect(isRunning(orphan)).toBe(false);
    expect(existsSync(join(directory, 'stopped'))).toBe(true);
    expect(child.status()).toMatchObject({ state: 'ready', restarts: 0 });
    expect(messages).toEqual([`sleeper of an earlier start still runs (process ${orphan.pid}): stopping it`]);
  });
});

describe('a pid file that names a process which is not ours', () => {
  it('is removed, and the process is left alone', async () => {
    const pidFile = join(directory, 'reused.pid.json');
    const own = identify(process.pid)!;
    writePidFile(pidFile, { ...own, startedAt: 'another time', name: 'x', command: [], stopSignal: 'SIGTERM' });
    expect(await stopLeftover({ pidFile, deadlineMs: 1_000, log: () => undefined })).toBe(false);
    expect(existsSync(pidFile)).toBe(false);
    expect(isRunning(own)).toBe(true);
  });

  it('may be damaged', async () => {
    const pidFile = join(directory, 'damaged.pid.json');
    await writeFile(pidFile, '{"pid": ');
    expect(await stopLeftover({ pidFile, deadlineMs: 1_000, log: () => undefined })).toBe(false);
    expect(existsSync(pidFile)).toBe(false);
  });
});
