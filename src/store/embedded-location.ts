import { createHash } from 'node:crypto';
import {
  chmod,
  chown,
  cp,
  lchown,
  mkdir,
  readFile,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { canEnter, chooseUnprivilegedUser, isRoot } from './embedded-user.js';
import type { SystemUser } from './embedded-user.js';

/** Where the database of a home is, and who runs it. */
export interface PostgresLocation {
  /** The complete data directory, or where it will be. */
  readonly dataDirectory: string;
  /** Where the data directory lies: for copies and temporary files beside it. The user can enter it. */
  readonly baseDirectory: string;
  /** `undefined` when PostgreSQL runs as ourselves. */
  readonly user: SystemUser | undefined;
}

export interface LocatePostgresOptions {
  readonly home: string;
  /** Where data goes that its user could not reach in the home. */
  readonly systemDirectory: string;
  readonly log: (message: string) => void;
}

/** In the home, when the data is not: the first line is where it is, the second which home it belongs to. */
const NOTE_NAME = 'POSTGRES_LOCATION.txt';
const DATA_NAME = 'postgres';

/**
 * In the home, as ourselves. When we are root, as an unprivileged user; and where that user cannot reach the home,
 * below the system directory, with a note in the home. Where the data once is, it stays for as long as its user can reach it.
 */
export const locatePostgres = async (options: LocatePostgresOptions): Promise<PostgresLocation> => {
  const { systemDirectory, log } = options;
  const home = await realpath(options.home);
  const inHome = join(home, DATA_NAME);
  const note = await readNote(home);
  if (!isRoot()) {
    if (note !== undefined) {
      throw new Error(
        `the database of ${home} was made by root and lies in ${note.baseDirectory}: start as root again, or choose another TUNESMITH_HOME`,
      );
    }
    await checkOwner(inHome);
    return { dataDirectory: inHome, baseDirectory: home, user: undefined };
  }
  if (note !== undefined) {
    await checkNote(home, note);
    return ownedBy(await chooseUnprivilegedUser(join(note.baseDirectory, DATA_NAME)), note.baseDirectory);
  }
  const user = await chooseUnprivilegedUser(inHome);
  if (await canEnter(user, home)) return ownedBy(user, home);

  const hash = createHash('sha256').update(home).digest('hex').slice(0, 16);
  const baseDirectory = join(systemDirectory, hash);
  const dataDirectory = join(baseDirectory, DATA_NAME);
  await makeDirectoryFor(user, systemDirectory, baseDirectory);
  // Without a note in the home, data there is of a home at this path that was deleted. It is not this home's, and
  // its password is gone with its home; but deleting data is not for us.
  if (await exists(dataDirectory)) {
    const aside = join(baseDirectory, `${DATA_NAME}-of-a-deleted-home-${new Date().toISOString().replaceAll(':', '')}`);
    await rename(dataDirectory, aside);
    log(`${home} is new, but a database of an earlier one at this path is left: it was moved to ${aside}`);
  }
  if (await exists(inHome)) await moveDirectory(inHome, dataDirectory);
  await writeNote(home, baseDirectory, user);
  log(`the user ${user.name}, as which PostgreSQL runs, cannot enter ${home}: its data lies in ${baseDirectory}`);
  return ownedBy(user, baseDirectory);
};

interface Note {
  readonly baseDirectory: string;
  readonly home: string;
}

const readNote = async (home: string): Promise<Note | undefined> => {
  const text = await readFile(join(home, NOTE_NAME), 'utf8').catch(() => '');
  const [baseDirectory, ownHome] = text.split('\n');
  return baseDirectory === undefined || ownHome === undefined ? undefined : { baseDirectory, home: ownHome };
};

const writeNote = async (home: string, baseDirectory: string, user: SystemUser): Promise<void> => {
  const text = [
    baseDirectory,
    home,
    '',
    'The first line is where the PostgreSQL data of this home lies, the second this home itself.',
    `PostgreSQL does not run as root, and the user it runs as here (${user.name}) cannot enter this directory.`,
    'To throw the database away, remove that directory together with this one. To move it, use pg_dump.',
    '',
  ].join('\n');
  const temporary = join(home, `${NOTE_NAME}.tmp`);
  await writeFile(temporary, text);
  await rename(temporary, join(home, NOTE_NAME));
};

/** A home that was copied must not use the data of the one it was copied from; one that was moved takes it along. */
const checkNote = async (home: string, note: Note): Promise<void> => {
  if (note.home === home) return;
  const other = await readNote(note.home);
  if (other?.home === note.home) {
    throw new Error(
      `${home} is a copy of ${note.home}, whose database lies in ${note.baseDirectory}: remove ${NOTE_NAME} and postgres-password from the copy to start it with an empty database`,
    );
  }
  const user = await chooseUnprivilegedUser(join(note.baseDirectory, DATA_NAME));
  await writeNote(home, note.baseDirectory, user);
};

/** Data that root has made in a home that everybody can enter belongs to another user. */
const checkOwner = async (dataDirectory: string): Promise<void> => {
  const found = await stat(dataDirectory).catch(() => undefined);
  if (found === undefined || found.uid === process.getuid?.()) return;
  throw new Error(
    `${dataDirectory} belongs to another user (${found.uid}): start as that user or as root, or choose another TUNESMITH_HOME`,
  );
};

const ownedBy = async (user: SystemUser, baseDirectory: string): Promise<PostgresLocation> => {
  const dataDirectory = join(baseDirectory, DATA_NAME);
  const found = await stat(dataDirectory).catch(() => undefined);
  // Data from a container in which the account had another number, or that was copied by root.
  if (found !== undefined && found.uid !== user.uid) await changeOwner(dataDirectory, user);
  return { dataDirectory, baseDirectory, user };
};

const changeOwner = async (directory: string, user: SystemUser): Promise<void> => {
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    await lchown(join(entry.parentPath, entry.name), user.uid, user.gid);
  }
  await chown(directory, user.uid, user.gid);
};

const makeDirectoryFor = async (user: SystemUser, systemDirectory: string, baseDirectory: string): Promise<void> => {
  try {
    for (const directory of [systemDirectory, baseDirectory]) {
      // Not by mkdir's mode, from which the umask is taken off; and one that exists is left as its owner wants it.
      if ((await mkdir(directory, { recursive: true })) !== undefined) await chmod(directory, 0o755);
    }
    if (await canEnter(user, baseDirectory)) return;
  } catch (error) {
    throw new Error(
      `PostgreSQL's user ${user.name} cannot enter the home, and ${systemDirectory} cannot be made: let that user enter the home (chmod a+x on it and on the directories above it), or set DATABASE_URL`,
      { cause: error },
    );
  }
  throw new Error(`PostgreSQL's user ${user.name} can enter neither the home nor ${baseDirectory}: set DATABASE_URL`);
};

const moveDirectory = async (from: string, to: string): Promise<void> => {
  try {
    await rename(from, to);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EXDEV')) throw error;
    const partial = `${to}.moving`;
    await rm(partial, { recursive: true, force: true });
    await cp(from, partial, { recursive: true, preserveTimestamps: true });
    await rename(partial, to);
    await rm(from, { recursive: true });
  }
};

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
