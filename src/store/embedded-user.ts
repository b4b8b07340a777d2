import { stat } from 'node:fs/promises';
import { runCommand } from '../processes/run-command.js';
import type { CommandResult } from '../processes/run-command.js';

/** An account of this machine by its numbers. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const SYSTEM_ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } as const;
const COMMAND_TIMEOUT_MS = 20_000;
/** What we make when there is no `postgres` account. */
const OWN_NAME = 'tunesmith';

/** PostgreSQL refuses to run as root; everyone else runs it as themselves. */
export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * The account that PostgreSQL runs as when we are root: the owner of existing data, whoever that is; else the
 * `postgres` account of the system; else one that is made for it; and where none can be made (a read-only `/etc`,
 * an image without useradd) `nobody`, which practically every image has. A bare number will not do: initdb insists on a name for it.
 */
export const chooseUnprivilegedUser = async (dataDirectory: string): Promise<SystemUser> => {
  const owner = await stat(dataDirectory).catch(() => undefined);
  const ofData = owner === undefined || owner.uid === 0 ? undefined : await lookUp(String(owner.uid));
  const existing = ofData ?? (await lookUp('postgres')) ?? (await lookUp(OWN_NAME));
  if (existing !== undefined) return existing;
  // useradd is in Debian and Red Hat images, adduser in Debian and BusyBox ones.
  await attempt('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/sbin/nologin', OWN_NAME]);
  // Another start may have made it at the same moment, so the account counts and not what useradd says.
  const added = await lookUp(OWN_NAME);
  if (added !== undefined) return added;
  await attempt('adduser', ['--system', '--no-create-home', '--disabled-password', OWN_NAME]);
  const last = (await lookUp(OWN_NAME)) ?? (await lookUp('nobody'));
  if (last !== undefined) return last;
  throw new Error(
    'PostgreSQL does not run as root, and there is no other account for it: create a user named postgres, start as an ordinary user, or set DATABASE_URL',
  );
};

/** Whether this user may enter the directory, which depends on every directory above it too. */
export const canEnter = async (user: SystemUser, directory: string): Promise<boolean> => {
  const result = await runCommand({
    command: '/bin/sh',
    args: ['-c', 'cd -- "$1"', 'sh', directory],
    workingDirectory: '/',
    environment: SYSTEM_ENVIRONMENT,
    user,
    timeoutMs: COMMAND_TIMEOUT_MS,
  });
  return result.exitCode === 0;
};

/** By name or by number; `undefined` when there is no such account, and for root under whatever name. */
const lookUp = async (nameOrNumber: string): Promise<SystemUser | undefined> => {
  const [name, uid, gid] = await Promise.all(['-un', '-u', '-g'].map((option) => runId(option, nameOrNumber)));
  if (name === undefined || uid === undefined || gid === undefined || Number(uid) === 0) return undefined;
  return { name, uid: Number(uid), gid: Number(gid) };
};

const runId = async (option: string, nameOrNumber: string): Promise<string | undefined> => {
  const result = await attempt('id', [option, nameOrNumber]);
  return result?.exitCode === 0 ? result.stdout.trim() : undefined;
};

const attempt = (command: string, args: readonly string[]): Promise<CommandResult | undefined> =>
  runCommand({ command, args, environment: SYSTEM_ENVIRONMENT, timeoutMs: COMMAND_TIMEOUT_MS }).catch(() => undefined);
