import { spawn } from 'node:child_process';

export interface RunCommandOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly workingDirectory?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Written to its standard input. */
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end. An exit code other than 0 is a result; a program that cannot be started, that takes
 * longer than `timeoutMs`, or whose run is aborted, is an error. It is killed in the last two cases.
 */
export const runCommand = (options: RunCommandOptions): Promise<CommandResult> =>
  new Promise((resolve, reject) => {
    const { command, args, input, timeoutMs, signal } = options;
    const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    const signals = [signal, timeout].filter((each) => each !== undefined);
    const child = spawn(command, args, {
      ...(options.workingDirectory === undefined ? {} : { cwd: options.workingDirectory }),
      ...(options.environment === undefined ? {} : { env: options.environment }),
      ...(options.user ?? {}),
      signal: AbortSignal.any(signals),
      killSignal: 'SIGKILL',
      stdio: 'pipe',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    // A program that ends without reading its input is not an error.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
    child.once('error', (error) => {
      if (timeout?.aborted === true) reject(new Error(`${command} took longer than ${timeoutMs ?? 0} ms`));
      else reject(signal?.aborted === true ? abortReason(signal) : error);
    });
    child.once('close', (code) => {
      resolve({ exitCode: code ?? -1, stdout, stderr });
    });
  });

const abortReason = (signal: AbortSignal): Error =>
  signal.reason instanceof Error ? signal.reason : new Error('aborted');

/** The last line with something in it: what programs end their complaint with. */
export const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1)?.trim() ?? '';
