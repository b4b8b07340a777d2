import { S3Client, CreateBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { s3ServerProgram } from '../../scripts/s3-server.mjs';
import type { S3Credentials, S3Location } from '../../src/files/location.js';
import { pickFreePort } from '../../src/processes/free-port.js';
import { until } from './until.js';

/** A real S3 server, Versity's gateway over a directory, on this machine. */
export interface S3Server {
  /** Base address, without a slash at the end. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly credentials: S3Credentials;
  /** For tests that look at the bucket themselves. */
  readonly client: S3Client;
  /** A part of the bucket, for one test: `endpoint` where something stands in front of the server. */
  location(prefix: string, spoolDirectory: string, endpoint?: string): S3Location;
  /** Objects and begun uploads below a prefix: keys, the latter with ` (begun)`. */
  stored(prefix: string): Promise<readonly string[]>;
  /** What gives `tunesmith` this server as its store. */
  environment(prefix: string): Readonly<Record<string, string>>;
  /** SIGKILL, without a chance to finish anything; `start` brings it back on the same port with what it had. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes what it has. */
  stop(): Promise<void>;
}

const BUCKET = 'tunesmith-tests';
const REGION = 'eu-west-1';
const STOP_WITHIN_MS = 5_000;

/** Servers of this test process: none outlives it, however it ends. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a server with an empty bucket. */
export async function startS3Server(): Promise<S3Server> {
  const program = s3ServerProgram(process.env);
  if (!existsSync(program)) throw new Error('The S3 server is not built: run `node scripts/find-s3-server.mjs` first.');
  const home = await mkdtemp(join(tmpdir(), 'tunesmith-s3-'));
  // Metadata beside the data: not every file system for temporary files has extended attributes.
  const [data, metadata] = [join(home, 'data'), join(home, 'metadata')];
  await mkdir(data);
  await mkdir(metadata);
  const endpoint = `http://127.0.0.1:${await pickFreePort()}`;
  const credentials = { accessKeyId: 'tests-access-key', secretAccessKey: 'tests-secret-key-0123456789' };
  const client = new S3Client({
    ...{ endpoint, credentials, region: REGION, forcePathStyle: true, authSchemePreference: ['sigv4'], maxAttempts: 1 },
  });
  let child: ChildProcess | null = null;

  const start = async (): Promise<void> => {
    const started = spawn(
      program,
      [
        ...['--port', endpoint.slice('http://'.length), '--region', REGION, '--quiet', '--keep-alive'],
        ...['--health', '/health', 'posix', '--sidecar', metadata, data],
      ],
      {
        env: { ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    child = started;
    running.add(started);
    started.once('exit', () => running.delete(started));
    let output = '';
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    await until('the S3 server to answer', async () => {
      if (started.exitCode !== null) throw new Error(`the S3 server ended:\n${output}`);
      return fetch(`${endpoint}/health`).then(
        (response) => response.ok,
        () => false,
      );
    });
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const kill = setTimeout(() => child?.kill('SIGKILL'), STOP_WITHIN_MS);
    await ended;
    clearTimeout(kill);
  };

  await start();
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  return {
    endpoint,
    region: REGION,
    bucket: BUCKET,
    credentials,
    client,
    location: (prefix, spoolDirectory, through = endpoint) => ({
      kind: 's3',
      ...{ bucket: BUCKET, prefix, endpoint: through, region: REGION, pathStyle: true },
      ...{ encryption: null, kmsKeyId: null, spoolDirectory },
    }),
    async stored(prefix) {
      const objects = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: prefix }));
      const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: prefix }));
      return [
        ...(objects.Contents ?? []).map(({ Key: key }) => key ?? ''),
        ...(uploads.Uploads ?? []).map(({ Key: key }) => `${key ?? ''} (begun)`),
      ];
    },
    environment: (prefix) => ({
      FILE_STORE: `s3://${BUCKET}/${prefix}`,
      FILE_STORE_S3_ENDPOINT: endpoint,
      FILE_STORE_S3_REGION: REGION,
      FILE_STORE_S3_ACCESS_KEY_ID: credentials.accessKeyId,
      FILE_STORE_S3_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    }),
    kill: () => end('SIGKILL'),
    start,
    async stop() {
      await end('SIGTERM');
      client.destroy();
      await rm(home, { recursive: true, force: true });
    },
  };
}
