import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { controlEmulators } from '../support/emulator-control.js';
import { outputOf, runToEnd, startProcess } from '../support/running-process.js';
import { newHome } from '../support/running-system.js';

let home: string;

beforeAll(async () => {
  home = await newHome();
});
afterAll(() => rm(home, { recursive: true, force: true }));

it.each([[], ['up'], ['gateway'], ['worker'], ['emulators']].map((command) => ({ command })))(
  'helps without any configuration: $command',
  async ({ command }) => {
    const { code, output } = await runToEnd([...command, '--help']);
    expect(code).toBe(0);
    expect(output).toContain(`Usage: tunesmith ${command[0] ?? ''}`);
  },
);

it('refuses an unknown command and an unknown option', async () => {
  for (const command of [['down'], ['up', '--fast'], ['emulators', '--port', 'many']]) {
    const { code, output } = await runToEnd(command);
    expect(code).toBe(1);
    expect(output).toContain('--help');
  }
});

it.each(['gateway', 'worker'])('lists every problem of the configuration of %s at once', async (command) => {
  const { code, output } = await runToEnd([command], {
    PORT: 'seventy',
    LOG_LEVEL: 'loud',
    POLL_INTERVAL_SCALE: '-1',
    TUNESMITH_API_KEY: 'short',
    TUNESMITH_MASTER_KEY: 'too-short-and-secret',
  });
  expect(code).toBe(1);
  for (const name of [
    'DATABASE_URL',
    'TEMPORAL_ADDRESS',
    'FILE_STORE',
    'PORT',
    'LOG_LEVEL',
    'POLL_INTERVAL_SCALE',
    'TUNESMITH_API_KEY',
    'TUNESMITH_MASTER_KEY',
  ]) {
    expect(output).toContain(name);
  }
  expect(output).not.toContain('too-short-and-secret');
  expect(output).not.toMatch(/^\s+at /m);
});

it('lists every problem of the configuration of up at once, and starts nothing', async () => {
  const { code, output } = await runToEnd(['up'], {
    TUNESMITH_HOME: home,
    PORT: '99999',
    EMULATORS_PORT: '-1',
    DATABASE_URL: 'mysql://u:pass-word@h/d',
    FILE_STORE: 'ftp://host/files',
  });
  expect(code).toBe(1);
  for (const name of ['PORT', 'EMULATORS_PORT', 'DATABASE_URL', 'FILE_STORE']) expect(output).toContain(name);
  expect(output).not.toContain('pass-word');
});

it('stops at once, and well, while it waits for a database', async () => {
  const waiting = startProcess(['up'], {
    TUNESMITH_HOME: home,
    DATABASE_URL: 'postgres://u@127.0.0.1:1/x',
    ...{ PORT: '0', TEMPORAL_PORT: '0', TEMPORAL_UI_PORT: '0', EMULATORS_PORT: '0' },
  });
  await outputOf(waiting, /Waiting for the database/);
  expect(await waiting.stop()).toMatchObject({ code: 0 });
});

it('runs emulators without any configuration, and ends them with 0', async () => {
  const emulators = startProcess(['emulators', '--port', '0', '--journal', home]);
  const [, url = ''] = await outputOf(emulators, /listen on (http:\S+)/);
  expect(await controlEmulators(url).jobs()).toEqual([]);
  expect(await emulators.stop()).toMatchObject({ code: 0 });
});
