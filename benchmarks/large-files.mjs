// How much memory and time does a large file take, in and on to a provider? By default 1 GiB, with both stores.
//   node benchmarks/large-files.mjs [size in MiB] [local|s3]
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openAsBlob,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { chmod } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { s3ServerProgram } from '../scripts/s3-server.mjs';
import { createServer } from 'node:net';

const MIB = 1024 ** 2;
const PARTS = 16;
const SAMPLE_MS = 20;
const START_DEADLINE_MS = 120_000;
const JOB_DEADLINE_MS = 30 * 60_000;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const program = join(root, 'dist', 'src', 'main.js');
const sizeMib = Number(process.argv[2] ?? 1024);
const stores = process.argv[3] === undefined ? ['local', 's3'] : [process.argv[3]];
const home = mkdtempSync(join(tmpdir(), 'tunesmith-benchmark-'));
await chmod(home, 0o755);
const children = [];
const keys = { master: randomBytes(32).toString('base64'), gateway: `tsk-${randomBytes(24).toString('hex')}` };

function start(command, environment) {
  const child = spawn(process.execPath, [program, command], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  child.output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    child.output = (child.output + text).slice(-100_000);
  });
  return child;
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

async function until(what, probe, deadlineMs = START_DEADLINE_MS) {
  const startedAt = performance.now();
  for (;;) {
    const answer = await probe();
    if (answer) return answer;
    if (performance.now() - startedAt > deadlineMs) throw new Error(`waited in vain for ${what}`);
    await sleep(100);
  }
}

const rssMib = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

/** Runs `work` and answers how long it took and by how much each process was larger at the most than before. */
async function measured(processes, work) {
  const before = processes.map(({ pid }) => rssMib(pid));
  const most = [...before];
  const timer = setInterval(() => {
    processes.forEach(({ pid }, index) => (most[index] = Math.max(most[index], rssMib(pid))));
  }, SAMPLE_MS);
  const startedAt = performance.now();
  const result = await work();
  clearInterval(timer);
  return { result, seconds: (performance.now() - startedAt) / 1000, grownMib: most.map((rss, i) => rss - before[i]) };
}

/** A legal dataset of the wanted size: rows of about 2 KB, no two alike. */
async function writeDataset(path, bytes) {
  const file = createWriteStream(path);
  let written = 0;
  for (let row = 0; written < bytes; row += 1) {
    const noise = randomBytes(700).toString('base64');
    const message = { role: 'user', content: `Question ${row}: ${noise}` };
    const line = `${JSON.stringify({ messages: [message, { role: 'assistant', content: `Answer ${row}. ${noise}` }] })}\n`;
    written += line.length;
    if (!file.write(line)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
}

async function call(url, path, options = {}) {
  const response = await fetch(`${url}${path}`, {
    ...options,
    headers: { authorization: `Bearer ${keys.gateway}`, ...options.headers },
  });
  const body = await response.json();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(body)}`);
  return body;
}

const json = (body) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

function form(fields) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.set(name, ...[value].flat());
  return { method: 'POST', body };
}

async function uploadWhole(url, blob) {
  return (await call(url, '/v1/files', form({ purpose: 'fine-tune', file: [blob, 'large.jsonl'] }))).id;
}

async function uploadInParts(url, blob) {
  const upload = await call(
    url,
    '/v1/uploads',
    json({ filename: 'large.jsonl', purpose: 'fine-tune', bytes: blob.size, mime_type: 'application/jsonl' }),
  );
  const partBytes = Math.ceil(blob.size / PARTS);
  const parts = await Promise.all(
    Array.from({ length: PARTS }, (_, index) =>
      call(
        url,
        `/v1/uploads/${upload.id}/parts`,
        form({ data: [blob.slice(index * partBytes, (index + 1) * partBytes), 'part'] }),
      ),
    ),
  );
  const complete = json({ part_ids: parts.map(({ id }) => id) });
  return (await call(url, `/v1/uploads/${upload.id}/complete`, complete)).file.id;
}

async function trainToTheEnd(url, fileId) {
  const job = await call(
    url,
    '/v1/fine_tuning/jobs',
    json({
      model: 'gpt-4o-mini',
      training_file: fileId,
      portkey_options: { 'x-portkey-virtual-key': 'benchmark' },
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 1 } } },
    }),
  );
  const end = await until(
    'the end of the job',
    async () => {
      const seen = await call(url, `/v1/fine_tuning/jobs/${job.id}`);
      return ['succeeded', 'failed', 'cancelled'].includes(seen.status) && seen;
    },
    JOB_DEADLINE_MS,
  );
  if (end.status !== 'succeeded') throw new Error(`the job ended otherwise: ${JSON.stringify(end)}`);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** A real S3 server over a directory: in it a bucket is a directory too. */
async function startS3Server(directory) {
  const [data, metadata] = [join(directory, 'data'), join(directory, 'metadata')];
  mkdirSync(join(data, 'benchmark'), { recursive: true });
  mkdirSync(metadata);
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    s3ServerProgram(process.env),
    [
      '--port',
      address,
      '--region',
      'us-east-1',
      '--quiet',
      '--health',
      '/health',
      'posix',
      '--sidecar',
      metadata,
      data,
    ],
    { env: { ROOT_ACCESS_KEY: 'benchmark-key', ROOT_SECRET_KEY: 'benchmark-secret-key' }, stdio: 'ignore' },
  );
  children.push(child);
  await until('the S3 server', () =>
    fetch(`http://${address}/health`).then(
      (answer) => answer.ok,
      () => false,
    ),
  );
  return {
    environment: {
      FILE_STORE: 's3://benchmark/files',
      FILE_STORE_S3_ENDPOINT: `http://${address}`,
      FILE_STORE_S3_ACCESS_KEY_ID: 'benchmark-key',
      FILE_STORE_S3_SECRET_ACCESS_KEY: 'benchmark-secret-key',
    },
    stop: () => stop(child),
  };
}

/** PostgreSQL, Temporal and the emulators, as children of a start of its own. */
async function startInfrastructure() {
  const up = start('up', {
    TUNESMITH_HOME: home,
    PORT: '0',
    TEMPORAL_PORT: '0',
    TEMPORAL_UI_PORT: '0',
    EMULATORS_PORT: '0',
  });
  await until('the start', () => existsSync(join(home, 'ready.json')));
  const ready = JSON.parse(readFileSync(join(home, 'ready.json'), 'utf8'));
  const databaseUrl = new URL(ready.databaseUrl);
  databaseUrl.password = readFileSync(join(home, 'postgres-password'), 'utf8').trim();
  const limits = { file_bytes: 64 * 1024 * MIB, upload_bytes: 64 * 1024 * MIB };
  await fetch(`${ready.emulatorsUrl}/__emulator/settings`, json({ provider: 'openai', limits }));
  await fetch(`${ready.emulatorsUrl}/__emulator/clock`, json({ job_seconds: 2 }));
  return { up, ready, databaseUrl };
}

async function measureStore(store, { ready, databaseUrl }, blob, cp) {
  const database = `benchmark_${store}`;
  const admin = new pg.Client({ connectionString: databaseUrl.href });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${database}`);
  await admin.end();
  const ownDatabase = new URL(databaseUrl);
  ownDatabase.pathname = `/${database}`;
  const s3 = store === 's3' ? await startS3Server(join(home, 's3')) : null;
  const environment = {
    DATABASE_URL: ownDatabase.href,
    TEMPORAL_ADDRESS: ready.temporalAddress,
    TEMPORAL_TASK_QUEUE_PREFIX: database,
    TUNESMITH_HOME: join(home, store),
    TUNESMITH_MASTER_KEY: keys.master,
    TUNESMITH_API_KEY: keys.gateway,
    MAX_FILE_BYTES: String(64 * 1024 * MIB),
    MAX_UPLOAD_PART_BYTES: String(1024 * MIB),
    LOG_LEVEL: 'info',
    PORT: '0',
    ...(s3?.environment ?? { FILE_STORE: `file:${join(home, store, 'files')}` }),
  };
  mkdirSync(join(home, store), { recursive: true });
  const gateway = start('gateway', environment);
  const worker = start('worker', environment);
  const [, url] = await until('the gateway', () => /"url":"(http:[^"]+)"/.exec(gateway.output));
  await until('the worker', () => worker.output.includes('workers are running'));
  await call(
    url,
    '/v1/virtual-keys',
    json({
      name: 'benchmark',
      slug: 'benchmark',
      provider: 'openai',
      key: 'sk-benchmark-0123456789',
      custom_host: `${ready.emulatorsUrl}/openai/v1`,
    }),
  );
  // Once through with a little: code and caches that a large file needs as well.
  const small = blob.slice(0, 4 * MIB);
  const whole = new Blob([(await small.text()).replace(/[^\n]*$/, '')]);
  await trainToTheEnd(url, await uploadWhole(url, whole));
  await uploadInParts(url, whole);

  const report = (what, { seconds, grownMib }, name) => {
    const speed = blob.size / MIB / seconds;
    const ratio = (cp.seconds / seconds).toFixed(2);
    console.log(
      `${store.padEnd(6)} ${what.padEnd(28)} ${name} grew by ${grownMib[0].toFixed(0).padStart(4)} MiB   ${speed.toFixed(0).padStart(5)} MiB/s, ${ratio} of cp`,
    );
  };
  report('in, one form', await measured([gateway], () => uploadWhole(url, blob)), 'gateway');
  const parts = await measured([gateway], () => uploadInParts(url, blob));
  report(`in, ${PARTS} parallel parts`, parts, 'gateway');
  report('check, upload, train', await measured([worker], () => trainToTheEnd(url, parts.result)), 'worker ');
  await Promise.all([stop(gateway), stop(worker)]);
  await s3?.stop();
  rmSync(join(home, store), { recursive: true, force: true });
}

try {
  const path = join(home, 'large.jsonl');
  await writeDataset(path, sizeMib * MIB);
  const blob = await openAsBlob(path);
  const infrastructure = await startInfrastructure();
  const copy = join(home, 'copy');
  const startedAt = performance.now();
  execFileSync('cp', [path, copy]);
  const cp = { seconds: (performance.now() - startedAt) / 1000 };
  rmSync(copy);
  console.log(
    `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${(statSync(path).size / MIB).toFixed(0)} MiB`,
  );
  console.log(`cp     ${(blob.size / MIB / cp.seconds).toFixed(0)} MiB/s`);
  for (const store of stores) await measureStore(store, infrastructure, blob, cp);
} finally {
  for (const child of children.toReversed()) await stop(child);
  rmSync(home, { recursive: true, force: true });
}
