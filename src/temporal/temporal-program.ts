import { access, chmod, constants, rename, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { lastLine, runCommand } from '../processes/run-command.js';
import { PINNED_TEMPORAL_VERSION, isAtLeast, parseTemporalVersion } from './version.js';

/** What a source gives the finder; it throws, with one line that says why, when it has no program. */
export interface TemporalSource {
  /** As it is named in messages. */
  readonly name: string;
  /** The path of a program that answers `--version` with the pinned version or a later one. */
  readonly find: (context: TemporalSourceContext) => Promise<string>;
}

export interface TemporalSourceContext {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where a program is kept for later starts; exists. */
  readonly cacheDirectory: string;
  readonly log: (message: string) => void;
  readonly onProgress: (text: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** Throws, with the reason, unless the program says a version that will do. */
export const checkTemporalProgram = async (path: string, signal?: AbortSignal): Promise<void> => {
  const result = await runCommand({ command: path, args: ['--version'], timeoutMs: 20_000, signal });
  const version = parseTemporalVersion(result.stdout);
  if (result.exitCode !== 0 || version === undefined) {
    throw new Error(`${path} --version failed: ${lastLine(result.stderr || result.stdout) || 'it says nothing'}`);
  }
  if (!isAtLeast(version, PINNED_TEMPORAL_VERSION)) {
    throw new Error(`${path} is version ${version}, older than ${PINNED_TEMPORAL_VERSION}`);
  }
};

/** The first program of that name in the directories of `PATH`. */
export const findOnPath = async (name: string, path: string | undefined): Promise<string | undefined> => {
  for (const directory of (path ?? '').split(delimiter)) {
    // An empty entry means the current directory, from which nothing is run.
    if (directory === '') continue;
    const candidate = join(directory, name);
    if (await isExecutableFile(candidate)) return candidate;
  }
  return undefined;
};

export const isExecutableFile = async (path: string): Promise<boolean> => {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
};

/**
 * Puts a program that was just made into the cache, whole or not at all: a start that looks at the same time finds
 * the old one, none, or this one. Returns its path there.
 */
export const keepProgram = async (path: string, cacheDirectory: string): Promise<string> => {
  await chmod(path, 0o755);
  await checkTemporalProgram(path);
  const kept = join(cacheDirectory, 'temporal');
  await rename(path, kept);
  return kept;
};
