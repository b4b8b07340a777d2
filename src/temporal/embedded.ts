import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { choosePort } from '../processes/free-port.js';
import { stopLeftover } from '../processes/stop-process.js';
import { startSupervisedChild } from '../processes/supervisor.js';
import type { ChildStatus } from '../processes/supervisor.js';

/** The types a search attribute may be registered with, as the development server's command line spells them. */
export type SearchAttributeType = 'Text' | 'Keyword' | 'Int' | 'Double' | 'Bool' | 'Datetime' | 'KeywordList';

export interface StartEmbeddedTemporalOptions {
  /** A `temporal` program, as `findTemporal` returns it. */
  readonly executable: string;
  /** `TUNESMITH_HOME`. */
  readonly home: string;
  /** `TEMPORAL_PORT`; 0 or absent takes a free one, which stays the same for the life of this start. */
  readonly port?: number | undefined;
  /** `TEMPORAL_UI_PORT`; likewise. */
  readonly uiPort?: number | undefined;
  /** Made if there is none. */
  readonly namespace?: string;
  /** Registered if they are not. */
  readonly searchAttributes?: Readonly<Record<string, SearchAttributeType>>;
  readonly log: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface EmbeddedTemporal {
  /** `host:port` of the gRPC front end. */
  readonly address: string;
  readonly uiUrl: string;
  readonly namespace: string;
  readonly status: () => ChildStatus;
  readonly stop: () => Promise<void>;
}

const PROBE_DEADLINE_MS = 2_000;
const STOP_DEADLINE_MS = 4_000;
/** The development server makes namespaces with 24 hours: a job that ended on Friday would be gone on Monday. */
const RETENTION_SECONDS = 30 * 24 * 60 * 60;

/**
 * Runs Temporal's development server, with its Web UI, as a supervised child over one SQLite file in
 * `<home>/temporal`. Starting over an existing file keeps what it holds. Resolves when the server answers and the
 * namespace keeps finished workflows for 30 days.
 */
export const startEmbeddedTemporal = async (options: StartEmbeddedTemporalOptions): Promise<EmbeddedTemporal> => {
  const { executable, home, log } = options;
  const namespace = options.namespace ?? 'default';
  const directory = join(home, 'temporal');
  const pidFile = join(home, 'temporal.pid.json');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Before the ports are looked at: a leftover of an earlier start may be what holds them.
  await stopLeftover({ pidFile, deadlineMs: STOP_DEADLINE_MS, log });
  const port = await choosePort({ port: options.port, purpose: 'Temporal', variable: 'TEMPORAL_PORT' });
  const uiPort = await choosePort({
    port: options.uiPort,
    purpose: 'the Temporal Web UI',
    variable: 'TEMPORAL_UI_PORT',
  });
  const address = `127.0.0.1:${port}`;
  const child = await startSupervisedChild(
    {
      name: 'temporal',
      command: executable,
      args: serverArguments({
        port,
        uiPort,
        namespace,
        databaseFile: join(directory, 'temporal.db'),
        searchAttributes: options.searchAttributes ?? {},
      }),
      // The user's own Temporal settings (variables, files below HOME) are for the user's own clusters.
      environment: { HOME: directory, PATH: '/usr/bin:/bin' },
      workingDirectory: directory,
      logFile: join(home, 'logs', 'temporal.log'),
      pidFile,
      stopSignal: 'SIGTERM',
      stopDeadlineMs: STOP_DEADLINE_MS,
      probe: () => prepareNamespace(address, namespace),
      readyDeadlineMs: 60_000,
      log,
    },
    options.signal,
  );
  return { address, uiUrl: `http://127.0.0.1:${uiPort}`, namespace, status: child.status, stop: child.stop };
};

interface ServerSettings {
  readonly port: number;
  readonly uiPort: number;
  readonly namespace: string;
  readonly databaseFile: string;
  readonly searchAttributes: Readonly<Record<string, SearchAttributeType>>;
}

const serverArguments = (settings: ServerSettings): readonly string[] => [
  ...['server', 'start-dev', '--ip', '127.0.0.1'],
  ...['--port', String(settings.port), '--ui-port', String(settings.uiPort)],
  ...['--db-filename', settings.databaseFile],
  ...['--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'],
  ...['--namespace', settings.namespace, '--log-level', 'warn'],
  ...Object.entries(settings.searchAttributes).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
  // The default of 10 a second is less than the reconciler and a page of jobs ask for together.
  ...['--dynamic-config-value', 'frontend.namespaceRPS.visibility=1000'],
  // Without it the Web UI asks an outside address for news.
  '--ui-disable-news-fetch',
];

/** Throws until the server answers for the namespace; then makes sure of its retention. */
const prepareNamespace = async (address: string, namespace: string): Promise<void> => {
  const connection = await Connection.connect({ address, connectTimeout: PROBE_DEADLINE_MS });
  try {
    await connection.withDeadline(Date.now() + PROBE_DEADLINE_MS, async () => {
      const service = connection.workflowService;
      const described = await service.describeNamespace({ namespace });
      const retention = described.config?.workflowExecutionRetentionTtl?.seconds;
      if (Number(retention ?? 0) >= RETENTION_SECONDS) return;
      await service.updateNamespace({
        namespace,
        config: { workflowExecutionRetentionTtl: msToTs(RETENTION_SECONDS * 1000) },
      });
    });
  } finally {
    await connection.close();
  }
};
