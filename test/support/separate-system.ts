import { createHash, randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { sweepScheduleId } from '../../src/domain/temporal-names.js';
import { startEmbeddedPostgres } from '../../src/store/embedded.js';
import { startOwnEmulators, type EmulatorControl } from './emulator-control.js';
import { createGatewayClient, type GatewayClient } from './gateway-client.js';
import { outputOf, startProcess, type RunningProcess } from './running-process.js';
import { newHome } from './running-system.js';
import { startTestTemporal } from './temporal.js';
import { until } from './until.js';

/** The file store of such a system, seen from below. */
export interface StoreUnderCrash {
  /** The variables that name it; `home` is the gateway's and the worker's. */
  readonly environment: Readonly<Record<string, string>>;
  /** Everything that is kept, half-written content included. */
  stored(): Promise<readonly string[]>;
  /** Makes everything that is half-written, or has no row, older than the grace of the sweep. */
  age(): Promise<void>;
  /** Present where the store is a server: `kill -9`, and another start with its data. */
  readonly server?: { kill9(): Promise<void>; start(): Promise<void>; pause(): void; resume(): void };
  close(): Promise<void>;
}

/** Gateway and worker as processes of their own, with everything that they need; any of them can be killed. */
export interface SeparateSystem {
  readonly client: GatewayClient;
  readonly emulators: EmulatorControl;
  readonly store: StoreUnderCrash;
  readonly slug: string;
  /** The credential of the virtual key. */
  readonly providerKey: string;
  readonly address: () => { readonly url: string; readonly apiKey: string };
  kill9(what: 'gateway' | 'worker'): Promise<void>;
  start(what: 'gateway' | 'worker'): Promise<void>;
  /** Runs the sweep's schedule now, and waits until the store has nothing but these. */
  sweepLeaves(what: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

const PREFIX = 'crash';

export async function startSeparateSystem(
  openStore: (home: string) => Promise<StoreUnderCrash>,
): Promise<SeparateSystem> {
  const home = await newHome();
  const apiKey = `tsk-${randomBytes(24).toString('hex')}`;
  const [postgres, temporal, emulators, store] = await Promise.all([
    startEmbeddedPostgres({ home, log: () => undefined }),
    startTestTemporal(home),
    startOwnEmulators(),
    openStore(home),
  ]);
  const environment = {
    DATABASE_URL: postgres.databaseUrl,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_TASK_QUEUE_PREFIX: PREFIX,
    TUNESMITH_MASTER_KEY: randomBytes(32).toString('base64'),
    TUNESMITH_API_KEY: apiKey,
    TUNESMITH_HOME: home,
    PORT: '0',
    POLL_INTERVAL_SCALE: '0.1',
    // What a dead worker had in hand is given out again after its time-out.
    ACTIVITY_TIMEOUT_SCALE: '0.1',
    ...store.environment,
  };
  const processes: { gateway?: RunningProcess; worker?: RunningProcess } = {};
  let url = '';
  const start = async (what: 'gateway' | 'worker'): Promise<void> => {
    const child = startProcess([what], environment);
    processes[what] = child;
    if (what === 'worker') await outputOf(child, /workers are running/);
    else [, url = ''] = await outputOf(child, /"url":"(http:[^"]+)"/);
  };
  await Promise.all([start('gateway'), start('worker')]);
  const address = () => ({ url, apiKey });
  const client = createGatewayClient(address);
  const { slug, key } = await client.newVirtualKey(emulators);
  const connection = await Connection.connect({ address: temporal.address });
  const schedule = new Client({ connection }).schedule.getHandle(sweepScheduleId(PREFIX));
  await mkdir(home, { recursive: true });
  return {
    client,
    emulators,
    store,
    slug,
    providerKey: key,
    address,
    async kill9(what) {
      processes[what]?.kill('SIGKILL');
      await processes[what]?.ended();
    },
    start,
    async sweepLeaves(what) {
      await store.age();
      await schedule.trigger();
      await until('an empty store', async () => {
        const left = (await store.stored()).filter((name) => !what.some((id) => name.includes(id)));
        if (left.length > 0) throw new Error(left.join(', '));
        return true;
      });
    },
    async close() {
      await connection.close();
      await Promise.all([processes.gateway?.stop(), processes.worker?.stop()]);
      await Promise.all([postgres.stop(), temporal.stop(), emulators.close(), store.close()]);
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Legal rows of so many bytes or a little more, no two alike. */
export function largeDataset(bytes: number): Buffer {
  const rows: string[] = [];
  for (let size = 0; size < bytes;) {
    const noise = randomBytes(3_000).toString('base64');
    const messages = [
      { role: 'user', content: noise },
      { role: 'assistant', content: `Row ${rows.length}` },
    ];
    const row = `${JSON.stringify({ messages })}\n`;
    rows.push(row);
    size += row.length;
  }
  return Buffer.from(rows.join(''));
}

export const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Where a system keeps the files of a directory store. */
export const filesDirectory = (home: string): string => join(home, 'files');
