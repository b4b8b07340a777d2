import { homedir } from 'node:os';
import { join } from 'node:path';
import { buildTemporal } from './finder-build.js';
import { downloadTemporal } from './finder-download.js';
import { checkTemporalProgram, findOnPath, isExecutableFile } from './temporal-program.js';
import type { TemporalSource } from './temporal-program.js';
import { PINNED_TEMPORAL_VERSION } from './version.js';

export interface FindTemporalOptions {
  /** The variables of this process: `PATH`, `HOME`, `XDG_CACHE_HOME`, and what Go and proxies read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: (message: string) => void;
  /** Told every two seconds or so what a step that takes long is doing. */
  readonly onProgress?: (text: string) => void;
  /** By default `tunesmith/temporal-<version>` in the user's cache directory. */
  readonly cacheDirectory?: string;
  readonly sources?: readonly TemporalSource[];
  readonly signal?: AbortSignal | undefined;
}

export interface FoundTemporal {
  /** Path of a `temporal` program, not older than the pinned version. */
  readonly path: string;
  /** The name of the source that had it. */
  readonly source: string;
}

/**
 * Finds or makes a `temporal` program: on `PATH`, kept from an earlier start, downloaded by Temporal's SDK, built
 * by the Go toolchain from `tools/temporal`; the first that works. A step that fails logs why in one line. When
 * all fail, the error has those lines and how to get the program.
 */
export const findTemporal = async (options: FindTemporalOptions): Promise<FoundTemporal> => {
  const { environment, log, signal } = options;
  const cacheDirectory = options.cacheDirectory ?? defaultCacheDirectory(environment);
  const onProgress = options.onProgress ?? (() => undefined);
  const reasons: string[] = [];
  for (const { name, find } of options.sources ?? TEMPORAL_SOURCES) {
    try {
      const path = await find({ environment, cacheDirectory, log, onProgress, signal });
      return { path, source: name };
    } catch (error) {
      signal?.throwIfAborted();
      const reason = `${name}: ${error instanceof Error ? error.message : String(error)}`;
      log(`no Temporal server from ${reason}`);
      reasons.push(reason);
    }
  }
  throw new Error(
    [
      'There is no Temporal server to start:',
      ...reasons.map((reason) => `  - ${reason}`),
      `Either install the Temporal CLI ${PINNED_TEMPORAL_VERSION} or later so that \`temporal\` is on PATH`,
      '(https://docs.temporal.io/cli#install), or install Go, with which it is built here, or set TEMPORAL_ADDRESS',
      'to the address of a server that runs already.',
    ].join('\n'),
  );
};

/** Where programs of the pinned version are kept: `$XDG_CACHE_HOME` or what the platform has for it. */
export const defaultCacheDirectory = (environment: Readonly<Record<string, string | undefined>>): string => {
  const home = environment['HOME'] ?? homedir();
  const configured = environment['XDG_CACHE_HOME'];
  const fallback = process.platform === 'darwin' ? join(home, 'Library', 'Caches') : join(home, '.cache');
  const base = configured === undefined || configured === '' ? fallback : configured;
  return join(base, 'tunesmith', `temporal-${PINNED_TEMPORAL_VERSION}`);
};

const fromPath: TemporalSource = {
  name: 'PATH',
  find: async ({ environment, signal }) => {
    const path = await findOnPath('temporal', environment['PATH']);
    if (path === undefined) throw new Error('it has no program named temporal');
    await checkTemporalProgram(path, signal);
    return path;
  },
};

const fromCache: TemporalSource = {
  name: 'an earlier start',
  find: async ({ cacheDirectory, signal }) => {
    const path = join(cacheDirectory, 'temporal');
    if (!(await isExecutableFile(path))) throw new Error(`${cacheDirectory} has none`);
    await checkTemporalProgram(path, signal);
    return path;
  },
};

/** In the order in which they are tried. */
const TEMPORAL_SOURCES: readonly TemporalSource[] = [
  fromPath,
  fromCache,
  { name: "the SDK's download", find: downloadTemporal },
  { name: 'the Go toolchain', find: buildTemporal },
];
