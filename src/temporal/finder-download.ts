import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findPackageRoot } from '../processes/package-root.js';
import { lastLine, runCommand } from '../processes/run-command.js';
import { keepProgram } from './temporal-program.js';
import type { TemporalSourceContext } from './temporal-program.js';
import { PINNED_TEMPORAL_VERSION } from './version.js';

/** How long nothing may arrive: a network that swallows packets must not hold up the next step for long. */
const STALL_TIMEOUT_MS = 20_000;
const WATCH_INTERVAL_MS = 500;

/**
 * The SDK downloads only on the way to starting a server. `--help` makes that server print and end, so that
 * nothing is left running whenever this script is killed; the SDK then waits for five seconds in vain, which does
 * not matter: the program is there. It is a process of its own because the SDK's native runtime is one per process and cannot be interrupted.
 */
const DOWNLOAD_SCRIPT = `
import { Runtime } from '@temporalio/worker';
const [downloadDir, version] = process.argv.slice(1);
try {
  await Runtime.instance().createEphemeralServer({
    type: 'dev-server',
    exe: { type: 'cached-download', downloadDir, version, ttl: 86400000, sdkName: 'sdk-typescript', sdkVersion: version },
    ip: '127.0.0.1', port: null, ui: false, uiPort: null, namespace: 'default', dbFilename: null,
    log: { format: 'pretty', level: 'never' }, extraArgs: ['--help'],
  });
} catch (error) {
  process.stderr.write('\\n' + String(error.message).replaceAll('\\n', ' '));
}
process.exit(1);
`;

/** A source for `findTemporal`: the pinned version by the download that is built into Temporal's SDK. */
export const downloadTemporal = async (context: TemporalSourceContext): Promise<string> => {
  const { cacheDirectory, environment } = context;
  await mkdir(cacheDirectory, { recursive: true });
  const directory = await mkdtemp(join(cacheDirectory, 'download-'));
  const program = join(directory, `temporal-v${PINNED_TEMPORAL_VERSION}`);
  const done = new AbortController();
  const signals = [done.signal, context.signal].filter((signal) => signal !== undefined);
  try {
    const watched = watchDownload(directory, program, done, context.onProgress);
    const script = runCommand({
      command: process.execPath,
      args: ['--input-type=module', '--eval', DOWNLOAD_SCRIPT, directory, `v${PINNED_TEMPORAL_VERSION}`],
      workingDirectory: findPackageRoot(),
      environment,
      signal: AbortSignal.any(signals),
    });
    const outcome = await Promise.race([watched, script.then((result) => ({ kind: 'ended' as const, result }))]);
    done.abort();
    await script.catch(() => undefined);
    await watched;
    context.signal?.throwIfAborted();
    if (await isThere(program)) return await keepProgram(program, cacheDirectory);
    if (outcome.kind === 'stalled') throw new Error(`nothing arrived within ${STALL_TIMEOUT_MS / 1000} s`);
    if (outcome.kind === 'ended') throw new Error(shortReason(outcome.result.stderr));
    throw new Error('it brought no program');
  } finally {
    done.abort();
    await rm(directory, { recursive: true, force: true });
  }
};

interface WatchOutcome {
  readonly kind: 'complete' | 'stalled' | 'broken off';
}

/** Ends when the program is there, when nothing has arrived for long, or when `done` is aborted. */
const watchDownload = async (
  directory: string,
  program: string,
  done: AbortController,
  onProgress: (text: string) => void,
): Promise<WatchOutcome> => {
  let lastSize = -1;
  let lastChange = performance.now();
  while (!done.signal.aborted) {
    if (await isThere(program)) return { kind: 'complete' };
    const size = await sizeOfFiles(directory);
    if (size !== lastSize) {
      lastSize = size;
      lastChange = performance.now();
    }
    if (performance.now() - lastChange > STALL_TIMEOUT_MS) return { kind: 'stalled' };
    onProgress(`downloading Temporal ${PINNED_TEMPORAL_VERSION} (${(size / 1e6).toFixed(1)} MB)`);
    await delay(WATCH_INTERVAL_MS, undefined, { signal: done.signal }).catch(() => undefined);
  }
  return { kind: 'broken off' };
};

/** The SDK's message says what it was doing, then the cause, and then the cause of that in almost the same words. */
const shortReason = (stderr: string): string => {
  const line = lastLine(stderr).replace(/^.*server executable: /, '');
  return line === '' ? 'the download failed without a reason' : line.replace(/\): .*$/, ')').slice(0, 300);
};

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const sizeOfFiles = async (directory: string): Promise<number> => {
  let total = 0;
  for (const name of await readdir(directory)) {
    total += await stat(join(directory, name)).then(
      (file) => file.size,
      () => 0,
    );
  }
  return total;
};
