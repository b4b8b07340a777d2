import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Makes the home of an embedded start, for this user alone. Fails with its path and what to do where it cannot be used. */
export async function prepareHome(home: string): Promise<void> {
  try {
    await mkdir(home, { recursive: true, mode: 0o700 });
    // The only test that holds for root and for read-only file systems too.
    const probe = join(home, `.write-test.${randomBytes(6).toString('hex')}`);
    await writeFile(probe, '', { flag: 'wx', mode: 0o600 });
    await rm(probe);
  } catch (error) {
    const code = errorCode(error);
    const why =
      code === 'EEXIST' || code === 'ENOTDIR'
        ? 'it, or a part of its path, is not a directory. Set TUNESMITH_HOME to a directory'
        : `it cannot be written (${code ?? 'unknown reason'}). Let this user write there, or set TUNESMITH_HOME to another directory`;
    throw new Error(`cannot use ${home} as the home: ${why}`, { cause: error });
  }
}

/**
 * A secret kept in the home with mode 600, made at the first start. `made` says that this was it. The file is complete
 * or absent: a crash leaves no half of a key. An empty one was damaged by somebody else, and is never made anew: what was
 * sealed with the secret that is lost would be lost with it.
 */
export async function keptSecret(
  home: string,
  name: string,
  make: () => string,
): Promise<{ readonly value: string; readonly made: boolean }> {
  const path = join(home, name);
  const existing = await readText(path);
  if (existing !== null) {
    const value = existing.trim();
    if (value !== '') return { value, made: false };
    throw new Error(
      `${path} is empty. Restore it from a backup; or, where its content is lost, delete it together with the data in ${home} to begin anew`,
    );
  }
  const value = make();
  await writeAtomically(path, `${value}\n`, 0o600);
  return { value, made: true };
}

/** Where a running embedded start is; it holds no secret. The command line and the tests find an instance by it. */
export interface Ready {
  readonly url: string;
  readonly dashboardUrl: string | null;
  readonly temporalAddress: string;
  readonly temporalUiUrl: string | null;
  readonly databaseUrl: string;
  readonly emulatorsUrl: string;
  readonly vertexGrpcAddress: string | null;
  readonly azureLoginUrl: string | null;
  readonly pid: number;
  readonly version: string;
}

const READY_FILE = 'ready.json';

export async function writeReady(home: string, ready: Ready): Promise<void> {
  await writeAtomically(join(home, READY_FILE), `${JSON.stringify(ready, null, 2)}\n`, 0o600);
}

export async function removeReady(home: string): Promise<void> {
  await rm(join(home, READY_FILE), { force: true });
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return null;
    throw new Error(`cannot read ${path} (${code ?? 'unknown reason'})`, { cause: error });
  }
}

function errorCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

async function writeAtomically(path: string, content: string, mode: number): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(temporary, content, { mode });
  const handle = await open(temporary, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
}
