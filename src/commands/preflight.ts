import { open } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import type { PreflightOptions, PreflightReport } from '../datasets/preflight-report.js';
import { preflight } from '../datasets/preflight.js';
import { preflightReportObject } from '../http/schemas/preflight-report.js';
import { preflightReportText } from './preflight-report-text.js';
import { printable } from './printable.js';
import type { Progress, ProgressStream } from './progress.js';

export interface PreflightCommandOptions extends Pick<PreflightOptions, 'method' | 'role' | 'model' | 'epochs'> {
  readonly exactTokens?: boolean;
  readonly maxRowBytes?: number;
  readonly maxRows?: number;
  readonly minimumRows?: number;
  readonly json?: boolean;
}

export interface CommandStreams {
  readonly stdin: Readable;
  readonly stdout: Writable & { hasColors?: () => boolean };
  readonly stderr: ProgressStream;
}

const STANDARD_INPUT = '-';
const CHUNK_BYTES = 256 * 1024;
/** Who waits for less sees no progress. */
const PROGRESS_AFTER_MS = 500;
const PROGRESS_EVERY_MS = 100;
const MIB = 1024 * 1024;

/**
 * `tunesmith preflight FILE`: checks a dataset on this machine; needs no gateway. Answers the exit code: 0 for a file without errors, else
 * 1. Rejects where the file cannot be read, with a message of one line that says what to do.
 *
 * @param path a file, or `-` for standard input
 */
export async function runPreflight(
  path: string,
  options: PreflightCommandOptions,
  streams: CommandStreams = standardStreams(),
): Promise<number> {
  const name = path === STANDARD_INPUT ? 'standard input' : path;
  const progress = createReadingProgress(name, streams.stderr);
  const onInterrupt = (): void => {
    progress.stop();
    // As if it had not been caught: a shell sees 130, and `exit` would wait for a read that hangs, of a named pipe say.
    process.removeAllListeners('SIGINT');
    process.kill(process.pid, 'SIGINT');
    // The first process of a container has no default action for it.
    process.exit(130);
  };
  process.once('SIGINT', onInterrupt);
  let report: PreflightReport;
  try {
    const content = path === STANDARD_INPUT ? streams.stdin : readFile(path, progress);
    report = await preflight(
      readable(content, name, progress),
      toPreflightOptions(options),
      new AbortController().signal,
    );
  } finally {
    progress.stop();
    process.off('SIGINT', onInterrupt);
  }
  const text =
    options.json === true
      ? `${JSON.stringify({ object: 'preflight', file: name, ...preflightReportObject(report) }, null, 2)}\n`
      : preflightReportText(report, { name, color: streams.stdout.hasColors?.() === true });
  await write(streams.stdout, text);
  return report.errorCount === 0 ? 0 : 1;
}

function standardStreams(): CommandStreams {
  return {
    // Looked at only where it is read: a look opens it.
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
  };
}

function toPreflightOptions(options: PreflightCommandOptions): PreflightOptions {
  const { method, role, model, epochs, exactTokens, maxRowBytes, maxRows, minimumRows } = options;
  return {
    method,
    role,
    excerpts: true,
    ...(model === undefined ? {} : { model }),
    ...(epochs === undefined ? {} : { epochs }),
    ...(exactTokens === undefined ? {} : { exactTokens }),
    ...(maxRowBytes === undefined ? {} : { maxRowBytes }),
    ...(maxRows === undefined ? {} : { maximumRows: maxRows }),
    ...(minimumRows === undefined ? {} : { minimumRows }),
  };
}

async function* readFile(path: string, progress: ReadingProgress): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    // A pipe has none.
    if (size > 0) progress.expect(size);
    const chunks: AsyncIterable<Uint8Array> = file.createReadStream({ highWaterMark: CHUNK_BYTES });
    yield* chunks;
  } finally {
    await file.close();
  }
}

/** The content as it comes. What its reading throws says which file it was and what to do. */
async function* readable(
  content: AsyncIterable<Uint8Array>,
  name: string,
  progress: ReadingProgress,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of content) {
      progress.read(chunk.length);
      yield chunk;
    }
  } catch (error) {
    throw new Error(`cannot read ${JSON.stringify(name)}: ${reasonOf(error)}`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file; check the path';
  if (code === 'ENOTDIR') return 'a part of the path is not a directory; check the path';
  if (code === 'EISDIR') return 'it is a directory; name a file in it';
  if (code === 'EACCES' || code === 'EPERM') return 'this user may not read it; change its permissions';
  return error instanceof Error ? error.message : String(error);
}

interface ReadingProgress {
  /** How much there is, where that is known. */
  expect(bytes: number): void;
  read(bytes: number): void;
  stop(): void;
}

/** How much is read, on a terminal alone. */
function createReadingProgress(name: string, stderr: CommandStreams['stderr']): ReadingProgress {
  // A terminal of no columns: see ``createProgress`, which cannot be asked before it is loaded.
  if (stderr.isTTY !== true || (stderr.columns ?? 0) === 0)
    return { expect: () => undefined, read: () => undefined, stop: () => undefined };
  let progress: Progress | null = null;
  let stopped = false;
  let sizeBytes = 0;
  let of = '';
  let nextMs = performance.now() + PROGRESS_AFTER_MS;
  return {
    expect(bytes) {
      of = ` of ${Math.round(bytes / MIB)}`;
    },
    read(bytes) {
      sizeBytes += bytes;
      if (performance.now() < nextMs) return;
      nextMs = performance.now() + PROGRESS_EVERY_MS;
      if (progress !== null) {
        progress.step(`Reading ${printable(name)}: ${Math.round(sizeBytes / MIB)}${of} MiB`);
        return;
      }
      nextMs = Number.POSITIVE_INFINITY;
      // It takes longer to load than most files to read.
      void import('./progress.js').then(({ createProgress }) => {
        if (stopped) return;
        progress = createProgress(stderr);
        nextMs = 0;
      });
    },
    stop() {
      stopped = true;
      progress?.stop();
    },
  };
}

/** Ends when all is written, and also where the reader has gone (`| head`). */
async function write(stream: Writable, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: Error | null): void => {
      if (!error || ('code' in error && error.code === 'EPIPE')) resolve();
      else reject(new Error(`cannot write the report: ${error.message}`, { cause: error }));
    };
    stream.on('error', settle);
    stream.write(text, settle);
  });
}
