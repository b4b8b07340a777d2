import { CreateMultipartUploadCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import * as nodeFileSystem from 'node:fs/promises';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { describeFileStoreContract } from '../../test/file-store-contract.js';
import { startFaultProxy, type Fault, type FaultProxy } from '../../test/support/fault-proxy.js';
import { startS3Server, type S3Server } from '../../test/support/s3-server.js';
import { GatewayError } from '../domain/errors.js';
import type { FileSystem } from './disk.js';
import type { FileStore } from './file-store.js';
import type { S3Credentials, S3Location } from './location.js';
import { createS3FileStore, type S3FileStoreOptions } from './s3.js';

const MIB = 1024 * 1024;
const MAX_BYTES = 64 * MIB;
/** Small enough that tests of big contents do not take long; short enough that what hangs is over soon. */
const LIMITS = { singleMaxBytes: 8 * MIB };
const TIMING = { idleTimeoutMs: 1_000, retryDelayMs: 5, attempts: 3 };

let server: S3Server;
let proxy: FaultProxy;
let spool: string;
let prefix: string;
let testCount = 0;
beforeAll(async () => {
  server = await startS3Server();
  proxy = await startFaultProxy(server.endpoint);
});
afterAll(async () => {
  await proxy.close();
  await server.stop();
});
const begin = async (): Promise<void> => {
  spool = await mkdtemp(join(tmpdir(), 'tunesmith-spool-'));
  prefix = `tests/${(testCount += 1)}`;
  proxy.decide(() => undefined);
};
const stored = async (): Promise<string[]> => [...(await server.stored(`${prefix}/`)), ...(await readdir(spool))];

describeFileStoreContract('S3', async () => {
  await begin();
  const location = server.location(prefix, spool, proxy.url);
  return {
    store: await createS3FileStore(location, server.credentials, { limits: LIMITS }),
    stored,
    async abandon() {
      const at = { Bucket: server.bucket, Key: `${prefix}/content/file-half` };
      await server.client.send(new CreateMultipartUploadCommand(at));
    },
    openHandles: () => Promise.resolve(proxy.active()),
    close: () => rm(spool, { recursive: true, force: true }),
  };
});

describe('the S3 file store', () => {
  beforeEach(begin);
  afterEach(() => rm(spool, { recursive: true, force: true }));

  interface Differences {
    readonly location?: Partial<S3Location>;
    readonly credentials?: S3Credentials;
    readonly options?: S3FileStoreOptions;
  }
  const create = ({ location, credentials, options }: Differences = {}): Promise<FileStore> =>
    createS3FileStore(
      { ...server.location(prefix, spool, proxy.url), ...location },
      credentials ?? server.credentials,
      {
        limits: LIMITS,
        ...options,
        timing: { ...TIMING, ...options?.timing },
      },
    );
  async function* content(sizeBytes: number): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < sizeBytes; sent += MIB) {
      await Promise.resolve();
      yield Buffer.alloc(Math.min(MIB, sizeBytes - sent), `${sent} `);
    }
  }
  const put = (store: FileStore, sizeBytes: number, signal?: AbortSignal) =>
    store.put('file-a', content(sizeBytes), { maxBytes: MAX_BYTES, ...(signal === undefined ? {} : { signal }) });
  const bytes = (sizeBytes: number): Promise<Buffer> => buffer(content(sizeBytes));
  const failureOf = async (action: Promise<unknown>): Promise<GatewayError> => {
    const outcome = await action.then(
      () => new Error('it ended well'),
      (error: unknown) => error,
    );
    if (!(outcome instanceof GatewayError)) throw new Error('not an error of ours', { cause: outcome });
    return outcome;
  };
  /** The first `times` requests of a kind get a fault. */
  const faulty = (matches: RegExp, times: number, fault: Fault): void => {
    let left = times;
    proxy.decide(({ method, path }) => (matches.test(`${method} ${path}`) && (left -= 1) >= 0 ? fault : undefined));
  };
  const refusal = (status: number, code: string): Fault => ({
    kind: 'answer',
    status,
    body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>said by the test</Message></Error>`,
  });
  const PUT_WHOLE = /^PUT (?!.*partNumber)/;
  const PUT_PART = /^PUT .*partNumber=2/;
  const COMPLETE = /^POST .*uploadId=/;
  const OPEN = /^GET .*x-id=GetObject/;

  describe('on a bad connection, while it writes', () => {
    const faults: readonly (readonly [string, number, RegExp, Fault])[] = [
      ['a content is cut in the middle', 3 * MIB, PUT_WHOLE, { kind: 'cut-request', afterBytes: MIB }],
      ['the answer to a content is lost', 3 * MIB, PUT_WHOLE, { kind: 'lose-answer' }],
      ['a content is answered with 503 SlowDown', 3 * MIB, PUT_WHOLE, refusal(503, 'SlowDown')],
      ['a content is answered with 500', 3 * MIB, PUT_WHOLE, refusal(500, 'InternalError')],
      ['a content arrives damaged', 3 * MIB, PUT_WHOLE, refusal(400, 'BadDigest')],
      ['a content is never answered', 3 * MIB, PUT_WHOLE, { kind: 'stall-answer', afterBytes: 0 }],
      ['a part is cut in the middle', 20 * MIB, PUT_PART, { kind: 'cut-request', afterBytes: 2 * MIB }],
      ['the answer to a part is lost', 20 * MIB, PUT_PART, { kind: 'lose-answer' }],
      ['a part is answered with 503 SlowDown', 20 * MIB, PUT_PART, refusal(503, 'SlowDown')],
      ['the answer to the completion is lost', 20 * MIB, COMPLETE, { kind: 'lose-answer' }],
    ];
    test.each(faults)('goes on where %s once', async (_what, sizeBytes, matches, fault) => {
      const store = await create();
      const whole = await bytes(sizeBytes);
      faulty(matches, 1, fault.kind === 'stall-answer' ? { kind: 'stall-answer', afterBytes: 0 } : fault);
      expect(await put(store, sizeBytes)).toMatchObject({ sizeBytes });
      expect((await buffer(await store.open('file-a'))).equals(whole)).toBe(true);
      expect(await stored()).toEqual([`${prefix}/content/file-a`]);
    });

    const lasting: typeof faults = [
      ['a content', 3 * MIB, PUT_WHOLE, { kind: 'cut-request', afterBytes: MIB }],
      ['a content that is refused', 3 * MIB, PUT_WHOLE, refusal(503, 'SlowDown')],
      ['a part', 20 * MIB, PUT_PART, { kind: 'cut-request', afterBytes: 2 * MIB }],
      ['the completion', 20 * MIB, COMPLETE, refusal(500, 'InternalError')],
    ];
    test.each(lasting)(
      'gives up after some attempts at %s, and leaves nothing',
      async (_what, size, matches, fault) => {
        const store = await create();
        const before = proxy.requests.length;
        faulty(matches, Infinity, fault);
        expect(await failureOf(put(store, size))).toMatchObject({ code: 'storage_unavailable' });
        expect(proxy.requests.slice(before).filter((line) => matches.test(line))).toHaveLength(TIMING.attempts);
        expect(await stored()).toEqual([]);
      },
    );

    test('does not take an object of other bytes for the one whose completion was lost', async () => {
      const store = await create();
      await put(store, 10);
      faulty(COMPLETE, 1, refusal(404, 'NoSuchUpload'));
      expect(await failureOf(put(store, 20 * MIB))).toMatchObject({ code: 'storage_unavailable' });
    });

    test('ends at once for a client that leaves while S3 does not answer, and cleans up', async () => {
      const store = await create({ options: { timing: { idleTimeoutMs: 60_000 } } });
      for (const [size, matches] of [
        [3 * MIB, PUT_WHOLE],
        [20 * MIB, PUT_PART],
      ] as const) {
        const abort = new AbortController();
        proxy.decide(({ method, path }) => {
          if (!matches.test(`${method} ${path}`)) return undefined;
          abort.abort(new Error('the client left'));
          return { kind: 'stall-answer', afterBytes: 0 };
        });
        await expect(put(store, size, abort.signal)).rejects.toThrow('the client left');
        // The server may have the whole content by the time that the connection ends: then all of it is there, never a part.
        expect((await stored()).filter((name) => name.includes('begun'))).toEqual([]);
      }
    });
  });

  describe('on a bad connection, while it reads', () => {
    const SIZE = 5 * MIB;
    const faults: readonly (readonly [string, number, Fault])[] = [
      ['a read is cut in the middle', 1, { kind: 'cut-answer', afterBytes: 2 * MIB }],
      ['a read is cut in the middle again and again', 4, { kind: 'cut-answer', afterBytes: MIB }],
      ['a read stalls in the middle', 1, { kind: 'stall-answer', afterBytes: 2 * MIB }],
      ['the answer to a read is lost', 1, { kind: 'lose-answer' }],
      ['a read is answered with 503 SlowDown', 1, refusal(503, 'SlowDown')],
    ];
    test.each(faults)('gives every byte once where %s', async (_what, times, fault) => {
      const store = await create();
      const whole = await bytes(SIZE);
      await put(store, SIZE);
      faulty(OPEN, times, fault);
      expect((await buffer(await store.open('file-a'))).equals(whole)).toBe(true);
      faulty(OPEN, times, fault);
      const part = await buffer(await store.open('file-a', { start: 1_000, end: SIZE - 1_000 }));
      expect(part.equals(whole.subarray(1_000, SIZE - 999))).toBe(true);
    });

    test.each<readonly [string, Fault]>([
      ['is cut', { kind: 'cut-answer', afterBytes: 0 }],
      ['stalls', { kind: 'stall-answer', afterBytes: 0 }],
      ['is refused', refusal(503, 'SlowDown')],
    ])('ends with an error, and not as if all were read, where every further attempt %s', async (_what, fault) => {
      const store = await create();
      await put(store, SIZE);
      let opened = 0;
      proxy.decide(() => ((opened += 1) === 1 ? { kind: 'cut-answer', afterBytes: MIB } : fault));
      const reader = await store.open('file-a');
      let received = 0;
      const read = async (): Promise<void> => {
        for await (const chunk of reader) received += Buffer.from(chunk as Uint8Array).length;
      };
      expect(await failureOf(read())).toMatchObject({ code: 'storage_unavailable' });
      expect(received).toBeLessThanOrEqual(MIB);
    });

    test('ends with an error where the object is another one by the time that it goes on', async () => {
      const store = await create();
      await put(store, SIZE);
      const at = { Bucket: server.bucket, Key: `${prefix}/content/file-a` };
      const reader = await interruptedReader(store);
      await server.client.send(new PutObjectCommand({ ...at, Body: Buffer.alloc(SIZE, 'other') }));
      const failure = await failureOf(buffer(reader));
      expect(failure).toMatchObject({ code: 'storage_unavailable' });
      expect(String(failure.cause)).toContain('PreconditionFailed');
    });

    test('says that the content is missing where it was deleted meanwhile', async () => {
      const store = await create();
      await put(store, SIZE);
      const reader = await interruptedReader(store);
      await store.delete('file-a');
      expect(await failureOf(buffer(reader))).toMatchObject({ code: 'file_content_missing' });
    });

    test('goes on for a reader that paused for longer than a connection may be idle', async () => {
      const store = await create({ options: { timing: { idleTimeoutMs: 100 } } });
      const whole = await bytes(20 * MIB);
      await put(store, 20 * MIB);
      const before = proxy.requests.length;
      const reader = await store.open('file-a');
      await new Promise((resolve) => reader.once('readable', resolve));
      // Its connection ends while nobody reads.
      await expect.poll(() => proxy.active()).toBe(0);
      expect((await buffer(reader)).equals(whole)).toBe(true);
      expect(proxy.requests.length - before).toBeGreaterThan(1);
    });

    /** A reader whose connection ends after its first bytes, and that has not asked for more. */
    const interruptedReader = async (store: FileStore) => {
      faulty(OPEN, 1, { kind: 'cut-answer', afterBytes: MIB });
      const reader = await store.open('file-a');
      await new Promise((resolve) => reader.once('readable', resolve));
      await expect.poll(() => proxy.active()).toBe(0);
      return reader;
    };
  });

  describe('what it says', () => {
    test.each([
      [507, 'InsufficientStorage', 'storage_full'],
      [403, 'QuotaExceeded', 'storage_full'],
      [400, 'XMinioAdminBucketQuotaExceeded', 'storage_full'],
      [403, 'AccessDenied', 'storage_unavailable'],
      [500, 'InternalError', 'storage_unavailable'],
    ])('for %i %s is %s, with the code in its cause', async (status, awsCode, code) => {
      const store = await create();
      faulty(/^PUT/, Infinity, refusal(status, awsCode));
      for (const size of [3 * MIB, 20 * MIB]) {
        const failure = await failureOf(put(store, size));
        expect(failure).toMatchObject({ code, cause: { code: awsCode, httpStatus: status } });
      }
      expect(await stored()).toEqual([]);
    });

    test.each<readonly [string, Differences, RegExp]>([
      [
        'the secret',
        { credentials: { accessKeyId: 'tests-access-key', secretAccessKey: 'wrong-secret' } },
        /credentials are refused.*SignatureDoesNotMatch/,
      ],
      [
        'the access key',
        { credentials: { accessKeyId: 'wrong-key-id', secretAccessKey: 'wrong-secret' } },
        /credentials are refused.*(InvalidAccessKeyId|XAdminUserNotFound)/,
      ],
      ['the bucket', { location: { bucket: 'no-such-bucket' } }, /there is no bucket no-such-bucket.*NoSuchBucket/],
      [
        'the region',
        { location: { region: 'us-west-2' } },
        /may not be in the region us-west-2.*AuthorizationHeaderMalformed/,
      ],
      ['the address', { location: { endpoint: 'http://127.0.0.1:1' } }, /ECONNREFUSED/],
    ])('tells which is wrong, %s, and no secret', async (_what, differences, says) => {
      const store = await create(differences);
      const actions = [
        () => store.check(),
        () => put(store, 10),
        () => store.open('file-a'),
        () => store.sizeBytes('file-a'),
        () => store.delete('file-a'),
        () => list(store),
        () => store.removeAbandoned(new Date()),
      ];
      for (const action of actions) {
        const failure = await failureOf(action());
        expect(failure).toMatchObject({ code: 'storage_unavailable' });
        if (failure.cause instanceof Error && !/HTTP 40[034]/.test(failure.cause.message))
          expect(failure.cause.message).toMatch(says);
        expect(inspect(failure, { depth: 10, showHidden: true })).not.toMatch(
          /wrong-secret|wrong-key-id|tests-secret|AWS4-HMAC/,
        );
      }
      expect((await failureOf(store.check())).cause).toMatchObject({ message: expect.stringMatching(says) as string });
    });

    test('does not fail at the start where S3 is not there', async () => {
      const store = await create({ location: { endpoint: 'http://127.0.0.1:1' } });
      expect(await failureOf(store.check())).toMatchObject({ code: 'storage_unavailable' });
    });

    test('ends a check in time where S3 does not answer', async () => {
      const store = await create({ options: { timing: { idleTimeoutMs: 60_000, checkTimeoutMs: 200 } } });
      faulty(/./, Infinity, { kind: 'stall-answer', afterBytes: 0 });
      expect(await failureOf(store.check())).toMatchObject({ code: 'storage_unavailable' });
    });
  });

  describe('its requests', () => {
    test('ask for the encryption that is configured, on every kind of write', async () => {
      const store = await create({ location: { encryption: 'aws:kms', kmsKeyId: 'alias/tests' } });
      const asked: unknown[] = [];
      proxy.decide(({ method, path, headers }) => {
        if (PUT_WHOLE.test(`${method} ${path}`) || /^POST .*uploads/.test(`${method} ${path}`)) {
          asked.push([headers['x-amz-server-side-encryption'], headers['x-amz-server-side-encryption-aws-kms-key-id']]);
          return refusal(403, 'AccessDenied');
        }
        return undefined;
      });
      await failureOf(put(store, 10));
      await failureOf(put(store, 20 * MIB));
      await failureOf(store.check());
      expect(asked).toEqual(Array.from({ length: 3 }, () => ['aws:kms', 'alias/tests']));
    });

    test('carry a checksum of what is written, which the server compares', async () => {
      const store = await create();
      const checksums: unknown[] = [];
      proxy.decide(({ method, headers }) => {
        if (method === 'PUT') checksums.push(headers['x-amz-checksum-sha256'] ?? headers['x-amz-checksum-crc32']);
        return undefined;
      });
      await put(store, 10);
      await put(store, 20 * MIB);
      expect(checksums).toHaveLength(5);
      for (const checksum of checksums) expect(checksum).toMatch(/^[A-Za-z0-9+/]{6,}=+$/);
      const at = { Bucket: server.bucket, Key: `${prefix}/content/file-a`, ChecksumMode: 'ENABLED' } as const;
      const found = await server.client.send(new GetObjectCommand(at));
      expect(found.ChecksumCRC32).toMatch(/-4$/);
      await found.Body?.transformToByteArray();
    });

    test('are limited in number at once, and one that leaves the queue does not hold up the others', async () => {
      const store = await create({ options: { limits: { ...LIMITS, singleAtOnce: 2 } } });
      let most = 0;
      proxy.decide(({ method }) => {
        if (method === 'PUT') most = Math.max(most, proxy.active());
        return undefined;
      });
      const abort = new AbortController();
      const puts = Array.from({ length: 12 }, (_unused, index) =>
        store.put(`part-${index}`, content(MIB), {
          maxBytes: MAX_BYTES,
          ...(index === 5 ? { signal: abort.signal } : {}),
        }),
      );
      abort.abort(new Error('the client left'));
      const outcomes = await Promise.allSettled(puts);
      expect(outcomes.map(({ status }) => status === 'rejected')).toEqual(
        outcomes.map((_unused, index) => index === 5),
      );
      expect(most).toBeLessThanOrEqual(2);
    });

    test('take nothing from the variables that other programs use for S3', async () => {
      const names = [
        'AWS_ENDPOINT_URL',
        'AWS_ENDPOINT_URL_S3',
        'AWS_REGION',
        'AWS_MAX_ATTEMPTS',
        'AWS_USE_FIPS_ENDPOINT',
      ];
      const before = Object.fromEntries(names.map((name) => [name, process.env[name]]));
      for (const name of names) process.env[name] = name.includes('URL') ? 'http://127.0.0.1:1' : 'odd';
      try {
        const store = await create();
        await put(store, 10);
        await store.check();
      } finally {
        for (const name of names) {
          if (before[name] === undefined) Reflect.deleteProperty(process.env, name);
          else process.env[name] = before[name];
        }
      }
    });
  });

  test('leaves alone what somebody else keeps below the prefix', async () => {
    const store = await create();
    const foreign = [
      `${prefix}/content/a/b`,
      `${prefix}/content/with space`,
      `${prefix}/content/.hidden`,
      `${prefix}/other`,
    ];
    for (const Key of foreign) {
      await server.client.send(new PutObjectCommand({ Bucket: server.bucket, Key, Body: 'x' }));
      await server.client.send(new CreateMultipartUploadCommand({ Bucket: server.bucket, Key: `${Key}-begun` }));
    }
    await put(store, 10);
    expect(await list(store)).toEqual(['file-a']);
    expect(await store.removeAbandoned(new Date(Date.now() + 60_000))).toBe(0);
  });

  test('lists and cleans more than a page', async () => {
    const store = await create();
    const ids = Array.from({ length: 1_030 }, (_unused, index) => `f${index}`);
    for (let start = 0; start < ids.length; start += 50) {
      await Promise.all(
        ids.slice(start, start + 50).flatMap((id) => {
          const at = { Bucket: server.bucket, Key: `${prefix}/content/${id}` };
          return [
            server.client.send(new PutObjectCommand({ ...at, Body: 'x' })),
            server.client.send(new CreateMultipartUploadCommand(at)),
          ];
        }),
      );
    }
    expect((await list(store)).sort()).toEqual([...ids].sort());
    expect(await store.removeAbandoned(new Date(Date.now() + 60_000))).toBe(ids.length);
    expect(await store.removeAbandoned(new Date(Date.now() + 60_000))).toBe(0);
  });

  describe('the spool', () => {
    const failing = (code: string): FileSystem => ({
      ...nodeFileSystem,
      open: async (...parameters) => {
        const handle = await nodeFileSystem.open(...parameters);
        return new Proxy(handle, {
          get(target, property) {
            const value: unknown = Reflect.get(target, property, target);
            if (property === 'write')
              return () => Promise.reject(Object.assign(new Error(`${code}: injected`), { code }));
            return typeof value === 'function' ? (value.bind(target) as unknown) : value;
          },
        });
      },
    });
    test.each([
      ['ENOSPC', 'storage_full'],
      ['EDQUOT', 'storage_full'],
      ['EIO', 'storage_unavailable'],
    ])('whose disk says %s is %s, and S3 is not asked', async (diskCode, code) => {
      const store = await create({ options: { fileSystem: failing(diskCode) } });
      const before = proxy.requests.length;
      expect(await failureOf(put(store, MIB))).toMatchObject({ code });
      expect(await failureOf(store.check())).toMatchObject({ code });
      expect(proxy.requests).toHaveLength(before);
      expect(await stored()).toEqual([]);
    });

    test('is a directory of its user alone, and keeps no name of what is in it', async () => {
      await rm(spool, { recursive: true });
      const store = await create();
      expect((await stat(spool)).mode & 0o777).toBe(0o700);
      let names: readonly string[] | undefined;
      async function* looking(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(MIB);
        names = await readdir(spool);
      }
      await store.put('file-a', looking(), { maxBytes: MAX_BYTES });
      expect(names).toEqual([]);
    });

    test('is rid of what a crash left, and of nothing else, at the next start', async () => {
      await writeFile(join(spool, 'file-a.0123456789ab.spool'), 'x');
      await writeFile(join(spool, 'somebody-elses.txt'), 'x');
      await create();
      expect(await readdir(spool)).toEqual(['somebody-elses.txt']);
    });
  });

  const list = async (store: FileStore): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of store.list()) ids.push(id);
    return ids;
  };
});
