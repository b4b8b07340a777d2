// How long do a first start, a warm start and a stop take? Starts in a home of its own, on free ports.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const home = mkdtempSync(join(tmpdir(), 'tunesmith-benchmark-'));
const environment = {
  ...process.env,
  TUNESMITH_HOME: home,
  PORT: '0',
  TEMPORAL_PORT: '0',
  TEMPORAL_UI_PORT: '0',
  EMULATORS_PORT: '0',
};
const WARM_STARTS = 5;
const START_DEADLINE_MS = 120_000;

async function startAndStop() {
  const startedAt = performance.now();
  const child = spawn('npm', ['start', '--silent'], { cwd: root, env: environment, stdio: 'ignore', detached: true });
  const exited = once(child, 'exit');
  while (!existsSync(join(home, 'ready.json'))) {
    if (child.exitCode !== null || performance.now() - startedAt > START_DEADLINE_MS) {
      throw new Error(`the start failed: see ${join(home, 'logs')}`);
    }
    await sleep(10);
  }
  const readyAt = performance.now();
  process.kill(-child.pid, 'SIGTERM');
  await exited;
  while (existsSync(join(home, 'temporal.pid.json'))) await sleep(10);
  return { startMs: readyAt - startedAt, stopMs: performance.now() - readyAt };
}

const first = await startAndStop();
const warm = [];
for (let count = 0; count < WARM_STARTS; count += 1) warm.push(await startAndStop());
rmSync(home, { recursive: true, force: true });

const seconds = (milliseconds) => (milliseconds / 1000).toFixed(1);
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const most = (values) => Math.max(...values);
console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`);
console.log(`first start  ${seconds(first.startMs)} s (npm start, new home)`);
console.log(
  `warm start   ${seconds(median(warm.map((run) => run.startMs)))} s median, ${seconds(most(warm.map((run) => run.startMs)))} s most, of ${WARM_STARTS}`,
);
console.log(
  `stop         ${seconds(median(warm.map((run) => run.stopMs)))} s median, ${seconds(most(warm.map((run) => run.stopMs)))} s most`,
);
