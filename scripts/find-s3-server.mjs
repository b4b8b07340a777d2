// Runs before `npm test`: the S3 server that the tests run against is built here once, by Go, and kept in the user's cache
// directory. With --check, first of all and before anything slow, it only says whether that will be possible.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { s3ServerDirectory, s3ServerProgram, S3_SERVER_VERSION } from './s3-server.mjs';

const MODULE = 'github.com/versity/versitygw/cmd/versitygw';
const BUILD_DIRECTORY_PREFIX = 'build-';
const PROGRESS_INTERVAL_MS = 10_000;
const LOCK_CHECK_INTERVAL_MS = 1_000;
const directory = s3ServerDirectory(process.env);
const kept = s3ServerProgram(process.env);

try {
  if (!isUsable(kept)) {
    requireGo();
    if (!process.argv.includes('--check')) await buildAlone();
  }
} catch (error) {
  say(error.message);
  process.exit(1);
}

function say(text) {
  console.error(`tunesmith: ${text}`);
}

function isUsable(path) {
  try {
    accessSync(path, constants.X_OK);
  } catch {
    return false;
  }
  return spawnSync(path, ['--version'], { timeout: 20_000 }).status === 0;
}

function requireGo() {
  const { status } = spawnSync('go', ['version'], { timeout: 20_000 });
  if (status === 0) return;
  throw new Error(
    `the tests need Go (https://go.dev/dl): their S3 server, versitygw ${S3_SERVER_VERSION}, is built with it once,` +
      ` and there is no working program named go on PATH. Or put the program itself at ${kept}`,
  );
}

/** Of several runs at once one builds, and the others wait for it. */
async function buildAlone() {
  // Built by scripts/prepare.mjs, which has run by now.
  const { acquireProcessLock } = await import('../dist/src/processes/process-lock.js');
  mkdirSync(directory, { recursive: true });
  let toldAtMs = 0;
  for (;;) {
    const lock = await acquireProcessLock(join(directory, 'build.lock'));
    if (lock.kind === 'acquired') {
      try {
        if (!isUsable(kept)) await build();
      } finally {
        lock.release();
      }
      return;
    }
    if (Date.now() - toldAtMs >= PROGRESS_INTERVAL_MS) {
      toldAtMs = Date.now();
      say(`process ${lock.holderPid} is building the S3 server of the tests, waiting`);
    }
    await delay(LOCK_CHECK_INTERVAL_MS);
  }
}

async function build() {
  // What a build that was killed has left; this process holds the lock, so no build goes on there.
  for (const name of readdirSync(directory)) {
    if (name.startsWith(BUILD_DIRECTORY_PREFIX)) rmSync(join(directory, name), { recursive: true, force: true });
  }
  const target = mkdtempSync(join(directory, BUILD_DIRECTORY_PREFIX));
  const startedAtMs = performance.now();
  const elapsed = () => `${Math.round((performance.now() - startedAtMs) / 1_000)} s`;
  say(`building the S3 server of the tests, versitygw ${S3_SERVER_VERSION}, with Go: one or two minutes, once`);
  const ticker = setInterval(() => say(`building the S3 server of the tests (${elapsed()})`), PROGRESS_INTERVAL_MS);
  try {
    const { code, stderr } = await goInstall(target);
    const program = join(target, 'versitygw');
    if (code !== 0) throw new Error(`go install ${MODULE}@${S3_SERVER_VERSION} failed:\n${stderr.trim()}`);
    if (!isUsable(program)) throw new Error(`versitygw ${S3_SERVER_VERSION} was built and does not run`);
    renameSync(program, kept);
    say(`the S3 server of the tests is built (${elapsed()}) and kept in ${kept}`);
  } finally {
    clearInterval(ticker);
    rmSync(target, { recursive: true, force: true });
  }
}

function goInstall(target) {
  return new Promise((resolve, reject) => {
    const child = spawn('go', ['install', '-trimpath', '-ldflags=-s -w', `${MODULE}@${S3_SERVER_VERSION}`], {
      env: { ...process.env, GOBIN: target, CGO_ENABLED: '0', GOWORK: 'off' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stderr }));
  });
}
