import { join } from 'node:path';
import { choosePort } from './free-port.js';
import { findPackageRoot } from './package-root.js';
import { stopLeftover } from './stop-process.js';
import { startSupervisedChild } from './supervisor.js';
import type { ChildStatus } from './supervisor.js';

export interface StartEmulatorsOptions {
  /** `TUNESMITH_HOME`. */
  readonly home: string;
  /** `EMULATORS_PORT`; 0 or absent takes a free one, which stays the same for the life of this start. */
  readonly port?: number | undefined;
  /** The script to run; by default the built one of this package. */
  readonly entry?: string;
  /** Further arguments for the script. */
  readonly extraArguments?: readonly string[];
  readonly log: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface EmbeddedEmulators {
  /** Base address, without a slash at the end. */
  readonly url: string;
  readonly status: () => ChildStatus;
  readonly stop: () => Promise<void>;
}

const STOP_DEADLINE_MS = 2_000;

/**
 * Runs the provider emulators as a process of their own, as a vendor would be. What they hold is in
 * `<home>/emulators`, and is there again after a restart.
 */
export const startEmulators = async (options: StartEmulatorsOptions): Promise<EmbeddedEmulators> => {
  const { home, log } = options;
  const pidFile = join(home, 'emulators.pid.json');
  // Before the port is looked at: emulators that outlived a killed parent are what holds it.
  await stopLeftover({ pidFile, deadlineMs: STOP_DEADLINE_MS, log });
  const port = await choosePort({ port: options.port, purpose: 'the emulators', variable: 'EMULATORS_PORT' });
  const url = `http://127.0.0.1:${port}`;
  const entry = options.entry ?? join(findPackageRoot(), 'dist', 'emulators', 'process.js');
  const child = await startSupervisedChild(
    {
      name: 'emulators',
      command: process.execPath,
      args: [
        entry,
        ...['--host', '127.0.0.1', '--port', String(port), '--journal', join(home, 'emulators')],
        ...(options.extraArguments ?? []),
      ],
      environment: {},
      workingDirectory: home,
      logFile: join(home, 'logs', 'emulators.log'),
      pidFile,
      stopSignal: 'SIGTERM',
      stopDeadlineMs: STOP_DEADLINE_MS,
      probe: async (signal) => {
        const attempt = AbortSignal.any([signal, AbortSignal.timeout(2_000)]);
        const response = await fetch(`${url}/__emulator/jobs`, { signal: attempt });
        await response.arrayBuffer();
        if (!response.ok) throw new Error(`GET /__emulator/jobs answered ${response.status}`);
      },
      readyDeadlineMs: 30_000,
      log,
    },
    options.signal,
  );
  return { url, status: child.status, stop: child.stop };
};
