import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findPackageRoot } from '../processes/package-root.js';
import { acquireProcessLock } from '../processes/process-lock.js';
import type { ProcessLock } from '../processes/process-lock.js';
import { lastLine, runCommand } from '../processes/run-command.js';
import { checkTemporalProgram, findOnPath, isExecutableFile, keepProgram } from './temporal-program.js';
import type { TemporalSourceContext } from './temporal-program.js';
import { PINNED_TEMPORAL_VERSION } from './version.js';

const PROGRESS_INTERVAL_MS = 2_000;
const LOCK_CHECK_INTERVAL_MS = 1_000;
const BUILD_DIRECTORY_PREFIX = 'build-';

/**
 * A source for `findTemporal`: builds the pinned command line by the Go toolchain on `PATH`, which takes about
 * three minutes on two cores. Of several starts at once one builds and the others wait for it.
 */
export const buildTemporal = async (context: TemporalSourceContext): Promise<string> => {
  const { cacheDirectory, environment } = context;
  const go = await findOnPath('go', environment['PATH']);
  if (go === undefined) throw new Error('there is no program named go on PATH');
  await mkdir(cacheDirectory, { recursive: true });
  const lock = await waitForLock(context);
  try {
    const kept = join(cacheDirectory, 'temporal');
    if (await isUsable(kept)) return kept;
    await removeAbandonedBuilds(cacheDirectory);
    return await build(go, context);
  } finally {
    lock.release();
  }
};

const waitForLock = async (context: TemporalSourceContext): Promise<ProcessLock> => {
  const startedAt = performance.now();
  for (;;) {
    const lock = await acquireProcessLock(join(context.cacheDirectory, 'build.lock'));
    if (lock.kind === 'acquired') return lock;
    context.onProgress(
      `process ${lock.holderPid} is building Temporal ${PINNED_TEMPORAL_VERSION}, waiting (${elapsed(startedAt)})`,
    );
    await delay(LOCK_CHECK_INTERVAL_MS, undefined, { signal: context.signal });
  }
};

const build = async (go: string, context: TemporalSourceContext): Promise<string> => {
  const { cacheDirectory, environment, log, onProgress, signal } = context;
  const directory = await mkdtemp(join(cacheDirectory, BUILD_DIRECTORY_PREFIX));
  const startedAt = performance.now();
  log(`building Temporal ${PINNED_TEMPORAL_VERSION} with ${go}: about three minutes, once`);
  const ticker = setInterval(() => {
    onProgress(`building Temporal ${PINNED_TEMPORAL_VERSION} with Go (${elapsed(startedAt)})`);
  }, PROGRESS_INTERVAL_MS);
  try {
    const program = join(directory, 'temporal');
    const result = await runCommand({
      command: go,
      args: [
        ...['build', '-trimpath', '-buildvcs=false', '-ldflags'],
        `-s -w -X github.com/temporalio/cli/internal/temporalcli.Version=${PINNED_TEMPORAL_VERSION}`,
        ...['-o', program, 'github.com/temporalio/cli/cmd/temporal'],
      ],
      workingDirectory: join(findPackageRoot(), 'tools', 'temporal'),
      // SQLite is pure Go in it: no C compiler is needed.
      environment: { ...environment, CGO_ENABLED: '0', GOWORK: 'off' },
      signal,
    });
    if (result.exitCode !== 0) throw new Error(`go build failed: ${lastLine(result.stderr).slice(0, 300)}`);
    const kept = await keepProgram(program, cacheDirectory);
    log(`Temporal ${PINNED_TEMPORAL_VERSION} is built and kept in ${kept}`);
    return kept;
  } finally {
    clearInterval(ticker);
    await rm(directory, { recursive: true, force: true });
  }
};

/** What a build that was killed has left; called by the holder of the lock, so that no build goes on there. */
const removeAbandonedBuilds = async (cacheDirectory: string): Promise<void> => {
  for (const name of await readdir(cacheDirectory)) {
    if (name.startsWith(BUILD_DIRECTORY_PREFIX) && (await stat(join(cacheDirectory, name))).isDirectory()) {
      await rm(join(cacheDirectory, name), { recursive: true, force: true });
    }
  }
};

const isUsable = async (path: string): Promise<boolean> => {
  if (!(await isExecutableFile(path))) return false;
  return checkTemporalProgram(path).then(
    () => true,
    () => false,
  );
};

const elapsed = (startedAt: number): string => `${Math.round((performance.now() - startedAt) / 1000)} s`;
