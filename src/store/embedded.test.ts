import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readPidFile } from '../processes/pid-file.js';
import { identify, isRunning } from '../processes/process-identity.js';
import { runInOwnProcess, sourceUrl } from '../processes/test-support/own-process.js';
import { isRoot } from './embedded-user.js';
import { startEmbeddedPostgres } from './embedded.js';
import type { EmbeddedPostgres } from './embedded.js';

let directory: string;
let home: string;
let systemDirectory: string;
let messages: string[];
let started: EmbeddedPostgres[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tunesmith-postgres-'));
  // mkdtemp makes it 700; the tests for that make another one so.
  await chmod(directory, 0o755);
  home = join(directory, 'home');
  systemDirectory = join(directory, 'system');
  messages = [];
  started = [];
});

afterEach(async () => {
  for (const postgres of started) await postgres.stop();
  await rm(directory, { recursive: true, force: true });
});

const start = async (more: { readonly home?: string; readonly port?: number } = {}): Promise<EmbeddedPostgres> => {
  const postgres = await startEmbeddedPostgres({
    home,
    systemDirectory,
    log: (message) => {
      messages.push(message);
    },
    ...more,
  });
  started.push(postgres);
  return postgres;
};

const query = async (postgres: EmbeddedPostgres, text: string): Promise<readonly unknown[]> => {
  const client = new Client({ connectionString: postgres.databaseUrl });
  await client.connect();
  try {
    const result: { rows: unknown[] } = await client.query(text);
    return result.rows;
  } finally {
    await client.end();
  }
};

interface Orphan {
  readonly databaseUrl: string;
  readonly pid: number;
}

/** A PostgreSQL in the home whose parent process was killed and has had no time to stop it. */
const startInKilledParent = async (): Promise<Orphan> => {
  const parent = await runInOwnProcess(`
    const { startEmbeddedPostgres } = await import('${sourceUrl('store/embedded.ts')}');
    const postgres = await startEmbeddedPostgres({
      home: ${JSON.stringify(home)}, systemDirectory: ${JSON.stringify(systemDirectory)}, log: () => {},
    });
    console.log(JSON.stringify({ databaseUrl: postgres.databaseUrl, pid: postgres.status().pid }));
    setInterval(() => {}, 1000);
  `);
  await parent.kill();
  const orphan: Orphan = JSON.parse(parent.firstLine);
  return orphan;
};

describe('the embedded PostgreSQL', () => {
  it('keeps its data over a stop and a start, and its password for its owner alone', async () => {
    const first = await start();
    await query(first, `CREATE TABLE kept AS SELECT 'still here' AS word`);
    await first.stop();
    expect(first.status()).toMatchObject({ name: 'postgres', state: 'stopped' });
    await expect(query(first, 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
    expect(existsSync(join(first.dataDirectory, 'postmaster.pid'))).toBe(false);

    const second = await start();
    expect(await query(second, 'SELECT word FROM kept')).toEqual([{ word: 'still here' }]);
    const passwordFile = join(home, 'postgres-password');
    expect((await stat(passwordFile)).mode & 0o777).toBe(0o600);
    const password = (await readFile(passwordFile, 'utf8')).trim();
    expect(second.databaseUrl).toContain(password);
    expect(second.publicDatabaseUrl).not.toContain(password);
    const logged = await readFile(join(home, 'logs', 'postgres.log'), 'utf8');
    expect([logged, ...messages].join()).not.toContain(password);
  });

  it('asks for the password, is in UTF-8, and can be reached on the loopback address alone', async () => {
    const postgres = await start();
    const wrong = { ...postgres, databaseUrl: postgres.databaseUrl.replace(/:[^:@/]+@/, ':guess@') };
    await expect(query(wrong, 'SELECT 1')).rejects.toThrow('password authentication failed');
    const [settings] = await query(
      postgres,
      `SELECT current_setting('listen_addresses') AS addresses, current_setting('unix_socket_directories') AS sockets,
        current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync`,
    );
    expect(settings).toEqual({ addresses: '127.0.0.1', sockets: '', encoding: 'UTF8', fsync: 'on' });
  });

  it('is started again on the same port and data when its process is killed', async () => {
    const postgres = await start();
    await query(postgres, `CREATE TABLE kept AS SELECT 1 AS number`);
    process.kill(postgres.status().pid!, 'SIGKILL');
    await vi.waitFor(() => expect(postgres.status().restarts).toBeGreaterThan(0), 30_000);
    await vi.waitFor(() => expect(postgres.status().state).toBe('ready'), 30_000);
    expect(await query(postgres, 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
  });

  it('is stopped cleanly by the next start when its parent was killed, and no row is lost', async () => {
    const orphan = await startInKilledParent();
    const identity = identify(orphan.pid)!;
    const client = new Client({ connectionString: orphan.databaseUrl });
    client.on('error', () => undefined);
    await client.connect();
    await client.query('CREATE TABLE kept AS SELECT 7 AS number');
    expect(isRunning(identity)).toBe(true);

    const postgres = await start();
    expect(isRunning(identity)).toBe(false);
    expect(await query(postgres, 'SELECT number FROM kept')).toEqual([{ number: 7 }]);
    expect(messages[0]).toBe(`postgres of an earlier start still runs (process ${orphan.pid}): stopping it`);
    const log = await readFile(join(home, 'logs', 'postgres.log'), 'utf8');
    expect(log).toContain('received fast shutdown request');
    expect(log).not.toContain('automatic recovery in progress');
    await client.end().catch(() => undefined);
  });

  it('stops one that runs on its data when only PostgreSQL itself has that on record', async () => {
    const orphan = await startInKilledParent();
    const before = identify(orphan.pid)!;
    await rm(join(home, 'postgres.pid.json'));
    const second = await start();
    expect(isRunning(before)).toBe(false);
    expect(messages.some((message) => message.includes(`(process ${before.pid}): stopping it`))).toBe(true);
    expect(await query(second, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('starts over a record of PostgreSQL whose process id somebody else has now', async () => {
    const first = await start();
    await first.stop();
    const record = [process.pid, first.dataDirectory, 1, 15_432, '', '127.0.0.1'].join('\n');
    await writeFile(join(first.dataDirectory, 'postmaster.pid'), `${record}\n`);
    const second = await start();
    expect(second.status().state).toBe('ready');
  });

  it('makes the data directory again when making it was cut off, and never touches a complete one', async () => {
    const first = await start();
    await query(first, 'CREATE TABLE kept AS SELECT 1 AS number');
    await first.stop();
    // As it is when initdb is killed: a directory under the working name.
    const base = join(first.dataDirectory, '..');
    await mkdir(join(base, 'postgres-initialising-cut', 'data'), { recursive: true });
    await writeFile(join(base, 'postgres-initialising-cut', 'data', 'PG_VERSION'), '18\n');
    const second = await start();
    expect(await query(second, 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
    expect((await readdir(base)).filter((name) => name.startsWith('postgres-initialising'))).toEqual([]);
  });

  it('refuses data of another major version with what to do, and leaves it as it is', async () => {
    const first = await start();
    await first.stop();
    await writeFile(join(first.dataDirectory, 'PG_VERSION'), '17\n');
    await expect(start()).rejects.toThrow(/was made by PostgreSQL 17, and this release brings \d+: dump it/);
    expect(await readFile(join(first.dataDirectory, 'PG_VERSION'), 'utf8')).toBe('17\n');
    expect(existsSync(join(first.dataDirectory, 'global', 'pg_control'))).toBe(true);
  });

  it('gives the database a new password when the file with the old one is gone', async () => {
    const first = await start();
    await query(first, 'CREATE TABLE kept AS SELECT 1 AS number');
    await first.stop();
    await rm(join(home, 'postgres-password'));
    const second = await start();
    expect(second.databaseUrl).not.toBe(first.databaseUrl);
    expect(await query(second, 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
  });

  it('keeps rows out of its log when a statement fails', async () => {
    const postgres = await start();
    await query(postgres, 'CREATE TABLE one (word text PRIMARY KEY)');
    await query(postgres, `INSERT INTO one VALUES ('canary-of-a-row')`);
    await expect(query(postgres, `INSERT INTO one VALUES ('canary-of-a-row')`)).rejects.toThrow('duplicate key');
    const log = await readFile(join(home, 'logs', 'postgres.log'), 'utf8');
    expect(log).toContain('duplicate key');
    expect(log).not.toContain('canary-of-a-row');
  });

  it('runs two homes side by side', async () => {
    const [first, second] = await Promise.all([start(), start({ home: join(directory, 'other') })]);
    expect(first.publicDatabaseUrl).not.toBe(second.publicDatabaseUrl);
    expect(readPidFile(join(home, 'postgres.pid.json'))?.pid).toBe(first.status().pid);
  });

  it('starts in a home of mode 700', async () => {
    await mkdir(home, { mode: 0o700 });
    const first = await start();
    await query(first, 'CREATE TABLE kept AS SELECT 1 AS number');
    await first.stop();
    const second = await start();
    expect(await query(second, 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
    const note = await readFile(join(home, 'POSTGRES_LOCATION.txt'), 'utf8').catch(() => undefined);
    if (isRoot()) {
      expect(second.dataDirectory.startsWith(systemDirectory)).toBe(true);
      expect(note?.split('\n')[0]).toBe(join(second.dataDirectory, '..'));
    } else {
      expect(second.dataDirectory).toBe(join(home, 'postgres'));
      expect(note).toBeUndefined();
    }
  });
});

const describeAsRoot = (): void => {
  it('does not run as root', async () => {
    const postgres = await start();
    const status = await stat(postgres.dataDirectory);
    expect(status.uid).not.toBe(0);
    expect((await stat(`/proc/${postgres.status().pid ?? 0}`)).uid).toBe(status.uid);
  });

  it('takes its data along when the home becomes one that its user cannot enter', async () => {
    const first = await start();
    expect(first.dataDirectory).toBe(join(home, 'postgres'));
    await query(first, 'CREATE TABLE kept AS SELECT 1 AS number');
    await first.stop();
    await chmod(home, 0o700);
    const second = await start();
    expect(second.dataDirectory.startsWith(systemDirectory)).toBe(true);
    expect(await query(second, 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
  });

  it('begins anew when the home was deleted, and keeps the data of the deleted one aside', async () => {
    await mkdir(home, { mode: 0o700 });
    const first = await start();
    await query(first, 'CREATE TABLE kept AS SELECT 1 AS number');
    await first.stop();
    await rm(home, { recursive: true });
    await mkdir(home, { mode: 0o700 });
    const second = await start();
    await expect(query(second, 'SELECT number FROM kept')).rejects.toThrow('does not exist');
    const beside = await readdir(join(second.dataDirectory, '..'));
    expect(beside.filter((name) => name.startsWith('postgres-of-a-deleted-home-'))).toHaveLength(1);
  });

  it('follows a home that was moved, and refuses one that was copied', async () => {
    await mkdir(home, { mode: 0o700 });
    const first = await start();
    await query(first, 'CREATE TABLE kept AS SELECT 1 AS number');
    await first.stop();
    const moved = join(directory, 'moved');
    await rename(home, moved);
    const second = await start({ home: moved });
    expect(await query(second, 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
    await second.stop();
    await mkdir(home, { mode: 0o700 });
    await writeFile(join(home, 'POSTGRES_LOCATION.txt'), await readFile(join(moved, 'POSTGRES_LOCATION.txt')));
    await expect(start()).rejects.toThrow(`${home} is a copy of ${moved}`);
  });
};

// Not `runIf`: for an ordinary user these are no tests that were skipped, there is nothing to test.
if (isRoot()) describe('the embedded PostgreSQL of root', describeAsRoot);
