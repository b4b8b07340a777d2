import { join } from 'node:path';
import type { Config } from '../config/config.js';
import type { Environment } from '../config/env.js';
import { SEARCH_ATTRIBUTES } from '../domain/temporal-names.js';
import type { FileStoreLocation } from '../files/location.js';
import type { ReadinessProbe } from '../http/routes/health.js';
import { startEmulators, type EmbeddedEmulators } from '../processes/emulators.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../store/embedded.js';
import { embeddedTemporal, externalTemporal, type TemporalTarget } from '../temporal/connection.js';
import { startEmbeddedTemporal, type EmbeddedTemporal } from '../temporal/embedded.js';
import { findTemporal } from '../temporal/finder.js';
import type { Progress } from './progress.js';

/** What an embedded start runs beside itself; null where the configuration names another one. */
export interface Children {
  readonly temporal: EmbeddedTemporal | null;
  readonly postgres: EmbeddedPostgres | null;
  readonly emulators: EmbeddedEmulators;
  readonly target: TemporalTarget;
  readonly databaseUrl: string;
  /** The same without a password. */
  readonly publicDatabaseUrl: string;
  readonly fileStore: FileStoreLocation;
  /** For `/readyz`: a child that is being started again is not ready. */
  readonly probes: Readonly<Record<string, ReadinessProbe>>;
  stop(): Promise<void>;
}

/** Starts Temporal, PostgreSQL and the emulators side by side. When one fails, the others are stopped again. */
export async function startChildren(
  config: Config,
  environment: Environment,
  progress: Progress,
  log: (message: string) => void,
  signal: AbortSignal,
): Promise<Children> {
  const { home } = config;
  const started: (() => Promise<void>)[] = [];
  const starting = <Child extends { stop: () => Promise<void> }>(child: Promise<Child>): Promise<Child> =>
    child.then((running) => {
      started.push(running.stop);
      return running;
    });
  const settled = await Promise.allSettled([
    config.temporalAddress === null ? starting(temporalChild(config, environment, progress, log, signal)) : null,
    config.databaseUrl === null ? starting(startEmbeddedPostgres({ home, log, signal })) : null,
    starting(startEmulators({ home, port: config.emulatorsPort, log, signal })),
  ]);
  const [temporal, postgres, emulators] = settled;
  if (temporal.status === 'rejected' || postgres.status === 'rejected' || emulators.status === 'rejected') {
    await Promise.allSettled(started.map((stop) => stop()));
    const failures = settled.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    throw failures.length === 1 ? failures[0] : new Error(failures.map(messageOf).join('\n'));
  }
  const children = { temporal: temporal.value, postgres: postgres.value, emulators: emulators.value };
  return {
    ...children,
    ...addresses(config, environment, children),
    probes: probesOf(children),
    stop: () => stop(children),
  };
}

async function temporalChild(
  config: Config,
  environment: Environment,
  progress: Progress,
  log: (message: string) => void,
  signal: AbortSignal,
): Promise<EmbeddedTemporal> {
  const { path } = await findTemporal({ environment, log, onProgress: (text) => progress.step(text), signal });
  progress.step('Starting Temporal, PostgreSQL and the emulators');
  return startEmbeddedTemporal({
    executable: path,
    home: config.home,
    port: config.temporalPort,
    uiPort: config.temporalUiPort,
    namespace: config.temporalNamespace,
    searchAttributes: Object.fromEntries(Object.values(SEARCH_ATTRIBUTES).map((name) => [name, 'Keyword' as const])),
    log,
    signal,
  });
}

function addresses(
  config: Config,
  environment: Environment,
  { temporal, postgres }: Pick<Children, 'temporal' | 'postgres'>,
) {
  const fileStore: FileStoreLocation = config.fileStore ?? { kind: 'directory', directory: join(config.home, 'files') };
  const databaseUrl = postgres?.databaseUrl ?? config.databaseUrl;
  // @NOTE one of the two is there: the child is started where the configuration names none.
  if (databaseUrl === null) throw new Error('no database');
  return {
    target:
      temporal === null ? externalTemporal(environment) : embeddedTemporal(temporal.address, config.temporalNamespace),
    databaseUrl,
    publicDatabaseUrl: postgres?.publicDatabaseUrl ?? withoutPassword(databaseUrl),
    fileStore,
  };
}

function probesOf(children: Pick<Children, 'temporal' | 'postgres' | 'emulators'>): Record<string, ReadinessProbe> {
  const probes: Record<string, ReadinessProbe> = {};
  for (const [name, child] of Object.entries(children)) {
    if (child === null) continue;
    probes[`${name}_process`] = () => {
      const { state } = child.status();
      return state === 'ready' ? Promise.resolve(undefined) : Promise.reject(new Error(state));
    };
  }
  return probes;
}

/** Who writes to PostgreSQL has stopped by now; Temporal goes last, as it came first. */
async function stop({
  temporal,
  postgres,
  emulators,
}: Pick<Children, 'temporal' | 'postgres' | 'emulators'>): Promise<void> {
  await Promise.allSettled([emulators.stop(), postgres?.stop(), temporal?.stop()]);
}

function withoutPassword(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.password = '';
  return url.toString();
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
