import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { findPackageRoot } from '../package-root.js';

/** A Node process that runs a part of our sources, for tests in which a whole process is killed. */
export interface OwnProcess {
  readonly pid: number;
  /** The first line that it printed. */
  readonly firstLine: string;
  /** Sends SIGKILL and resolves when it is gone. */
  readonly kill: () => Promise<void>;
}

/**
 * Runs a module text with the sources importable as `${root}/src/...ts`, and resolves at its first line of
 * output. The script must keep itself alive.
 */
export const runInOwnProcess = async (script: string): Promise<OwnProcess> => {
  const hooks = new URL('typescript-hooks.mjs', import.meta.url).href;
  const register = `data:text/javascript,import{register}from'node:module';register('${hooks}');`;
  const child = spawn(process.execPath, ['--import', register, '--input-type=module', '--eval', script], {
    cwd: findPackageRoot(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  const firstLine = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => {
      reject(new Error(`the script ended with ${code ?? 'a signal'}: ${complaint}`));
    });
  });
  if (child.pid === undefined) throw new Error('the script has no process id');
  return {
    pid: child.pid,
    firstLine,
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
};

/** The address of a source file, to import it in a script. */
export const sourceUrl = (path: string): string => new URL(`../../${path}`, import.meta.url).href;
