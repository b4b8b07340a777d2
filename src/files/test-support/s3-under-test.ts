import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { startFaultProxy, type Fault, type FaultProxy } from '../../../test/support/fault-proxy.js';
import { startS3Server, type S3Server } from '../../../test/support/s3-server.js';
import { GatewayError } from '../../domain/errors.js';
import type { FileStore } from '../file-store.js';
import type { S3Credentials, S3Location } from '../location.js';
import { createS3FileStore, type S3FileStoreOptions } from '../s3.js';

export const MIB = 1024 * 1024;
export const MAX_BYTES = 96 * MIB;
/** More than this goes in parts. */
export const SINGLE_MAX_BYTES = 8 * MIB;
export const ATTEMPTS = 3;
/** What hangs is over soon. */
const TIMING = { idleTimeoutMs: 1_000, retryDelayMs: 5, attempts: ATTEMPTS };

export interface Differences {
  readonly location?: Partial<S3Location>;
  readonly credentials?: S3Credentials;
  readonly options?: S3FileStoreOptions;
}

/** Stores on one S3 server, with a proxy in between that can go wrong. */
export interface S3UnderTest {
  readonly server: S3Server;
  readonly proxy: FaultProxy;
  /** Of the test that runs. */
  spool(): string;
  prefix(): string;
  /** Begins a test: another prefix and spool, and a proxy that passes everything on. */
  begin(): Promise<void>;
  /** Ends it. */
  end(): Promise<void>;
  create(differences?: Differences): Promise<FileStore>;
  /** Objects, begun uploads, and what is in the spool. */
  stored(): Promise<string[]>;
  /** The first `times` requests of a kind get a fault. */
  faulty(matches: RegExp, times: number, fault: Fault): void;
  close(): Promise<void>;
}

export async function createS3UnderTest(): Promise<S3UnderTest> {
  const server = await startS3Server();
  const proxy = await startFaultProxy(server.endpoint);
  let spool = '';
  let testCount = 0;
  const prefix = (): string => `tests/${testCount}`;
  return {
    server,
    proxy,
    spool: () => spool,
    prefix,
    async begin() {
      spool = await mkdtemp(join(tmpdir(), 'tunesmith-spool-'));
      testCount += 1;
      proxy.decide(() => undefined);
    },
    end: () => rm(spool, { recursive: true, force: true }),
    create: ({ location, credentials, options } = {}) =>
      createS3FileStore(
        { ...server.location(prefix(), spool, proxy.url), ...location },
        credentials ?? server.credentials,
        {
          ...options,
          limits: { singleMaxBytes: SINGLE_MAX_BYTES, ...options?.limits },
          timing: { ...TIMING, ...options?.timing },
        },
      ),
    stored: async () => [...(await server.stored(`${prefix()}/`)), ...(await readdir(spool))],
    faulty(matches, times, fault) {
      let left = times;
      proxy.decide(({ method, path }) => (matches.test(`${method} ${path}`) && (left -= 1) >= 0 ? fault : undefined));
    },
    async close() {
      await proxy.close();
      await server.stop();
    },
  };
}

/** Kinds of requests, as `faulty` and the proxy's list know them. */
export const PUT_WHOLE = /^PUT (?!.*partNumber)/;
export const PUT_PART = /^PUT .*partNumber=2/;
export const BEGIN_PARTS = /^POST .*uploads/;
export const COMPLETE = /^POST .*uploadId=/;
export const OPEN = /^GET .*x-id=GetObject/;

/** An error as S3 says it. */
export function refusal(status: number, code: string): Fault {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>said by the test</Message></Error>`;
  return { kind: 'answer', status, body };
}

/** Pieces of 1 MiB, each of its own content. */
export async function* content(sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < sizeBytes; sent += MIB) {
    await Promise.resolve();
    yield Buffer.alloc(Math.min(MIB, sizeBytes - sent), `${sent} `);
  }
}

export function bytes(sizeBytes: number): Promise<Buffer> {
  return buffer(content(sizeBytes));
}

/** Puts that many bytes as `file-a`. */
export function put(store: FileStore, sizeBytes: number, signal?: AbortSignal): Promise<unknown> {
  return store.put('file-a', content(sizeBytes), {
    maxBytes: MAX_BYTES,
    ...(signal === undefined ? {} : { signal }),
  });
}

export async function list(store: FileStore): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of store.list()) ids.push(id);
  return ids;
}

/** The error of ours that an action ends with. */
export async function failureOf(action: Promise<unknown>): Promise<GatewayError> {
  const outcome = await action.then(
    () => new Error('it ended well'),
    (error: unknown) => error,
  );
  if (!(outcome instanceof GatewayError)) throw new Error('not an error of ours', { cause: outcome });
  return outcome;
}
