import { CreateMultipartUploadCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import * as nodeFileSystem from 'node:fs/promises';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { describeFileStoreContract } from '../../test/file-store-contract.js';
import type { FileSystem } from './disk.js';
import {
  BEGIN_PARTS,
  content,
  createS3UnderTest,
  failureOf,
  list,
  MAX_BYTES,
  MIB,
  put,
  PUT_WHOLE,
  refusal,
  type Differences,
  type S3UnderTest,
} from './test-support/s3-under-test.js';

let subject: S3UnderTest;
beforeAll(async () => {
  subject = await createS3UnderTest();
});
afterAll(() => subject.close());

describeFileStoreContract('S3', async () => {
  await subject.begin();
  return {
    store: await subject.create(),
    stored: () => subject.stored(),
    async abandon() {
      const at = { Bucket: subject.server.bucket, Key: `${subject.prefix()}/content/file-half` };
      await subject.server.client.send(new CreateMultipartUploadCommand(at));
    },
    openHandles: () => Promise.resolve(subject.proxy.active()),
    close: () => subject.end(),
  };
});

describe('the S3 file store', () => {
  beforeEach(() => subject.begin());
  afterEach(() => subject.end());

  describe('what it says', () => {
    test.each([
      [507, 'InsufficientStorage', 'storage_full'],
      [403, 'QuotaExceeded', 'storage_full'],
      [400, 'XMinioAdminBucketQuotaExceeded', 'storage_full'],
      [403, 'AccessDenied', 'storage_unavailable'],
      [500, 'InternalError', 'storage_unavailable'],
    ])('for %i %s is %s, with the code in its cause', async (status, awsCode, code) => {
      const store = await subject.create();
      subject.faulty(/^PUT/, Infinity, refusal(status, awsCode));
      for (const size of [3 * MIB, 20 * MIB]) {
        const failure = await failureOf(put(store, size));
        expect(failure).toMatchObject({ code, cause: { code: awsCode, httpStatus: status } });
      }
      expect(await subject.stored()).toEqual([]);
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
      const store = await subject.create(differences);
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
      const store = await subject.create({ location: { endpoint: 'http://127.0.0.1:1' } });
      expect(await failureOf(store.check())).toMatchObject({ code: 'storage_unavailable' });
    });

    test('ends a check in time where S3 does not answer', async () => {
      const store = await subject.create({ options: { timing: { idleTimeoutMs: 60_000, checkTimeoutMs: 200 } } });
      subject.faulty(/./, Infinity, { kind: 'stall-answer', afterBytes: 0 });
      expect(await failureOf(store.check())).toMatchObject({ code: 'storage_unavailable' });
    });
  });

  describe('its requests', () => {
    test('ask for the encryption that is configured, on every kind of write', async () => {
      const store = await subject.create({ location: { encryption: 'aws:kms', kmsKeyId: 'alias/tests' } });
      const asked: unknown[] = [];
      subject.proxy.decide(({ method, path, headers }) => {
        if (PUT_WHOLE.test(`${method} ${path}`) || BEGIN_PARTS.test(`${method} ${path}`)) {
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
      const store = await subject.create();
      const checksums: unknown[] = [];
      subject.proxy.decide(({ method, headers }) => {
        if (method === 'PUT') checksums.push(headers['x-amz-checksum-sha256'] ?? headers['x-amz-checksum-crc32']);
        return undefined;
      });
      await put(store, 10);
      await put(store, 20 * MIB);
      expect(checksums).toHaveLength(5);
      for (const checksum of checksums) expect(checksum).toMatch(/^[A-Za-z0-9+/]{6,}=+$/);
      const at = {
        Bucket: subject.server.bucket,
        Key: `${subject.prefix()}/content/file-a`,
        ChecksumMode: 'ENABLED',
      } as const;
      const found = await subject.server.client.send(new GetObjectCommand(at));
      expect(found.ChecksumCRC32).toMatch(/-4$/);
      await found.Body?.transformToByteArray();
    });

    test('are limited in number at once, and one that leaves the queue does not hold up the others', async () => {
      const store = await subject.create({ options: { limits: { singleAtOnce: 2 } } });
      let most = 0;
      subject.proxy.decide(({ method }) => {
        if (method === 'PUT') most = Math.max(most, subject.proxy.active());
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
        const store = await subject.create();
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
    const store = await subject.create();
    const foreign = [
      `${subject.prefix()}/content/a/b`,
      `${subject.prefix()}/content/with space`,
      `${subject.prefix()}/content/.hidden`,
      `${subject.prefix()}/other`,
    ];
    for (const Key of foreign) {
      await subject.server.client.send(new PutObjectCommand({ Bucket: subject.server.bucket, Key, Body: 'x' }));
      await subject.server.client.send(
        new CreateMultipartUploadCommand({ Bucket: subject.server.bucket, Key: `${Key}-begun` }),
      );
    }
    await put(store, 10);
    expect(await list(store)).toEqual(['file-a']);
    expect(await store.removeAbandoned(new Date(Date.now() + 60_000))).toBe(0);
  });

  test('lists and cleans more than a page', async () => {
    const store = await subject.create();
    const ids = Array.from({ length: 1_030 }, (_unused, index) => `f${index}`);
    for (let start = 0; start < ids.length; start += 50) {
      await Promise.all(
        ids.slice(start, start + 50).flatMap((id) => {
          const at = { Bucket: subject.server.bucket, Key: `${subject.prefix()}/content/${id}` };
          return [
            subject.server.client.send(new PutObjectCommand({ ...at, Body: 'x' })),
            subject.server.client.send(new CreateMultipartUploadCommand(at)),
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
      const store = await subject.create({ options: { fileSystem: failing(diskCode) } });
      const before = subject.proxy.requests.length;
      expect(await failureOf(put(store, MIB))).toMatchObject({ code });
      expect(await failureOf(store.check())).toMatchObject({ code });
      expect(subject.proxy.requests).toHaveLength(before);
      expect(await subject.stored()).toEqual([]);
    });

    test('is a directory of its user alone, and keeps no name of what is in it', async () => {
      await rm(subject.spool(), { recursive: true });
      const store = await subject.create();
      expect((await stat(subject.spool())).mode & 0o777).toBe(0o700);
      let names: readonly string[] | undefined;
      async function* looking(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(MIB);
        names = await readdir(subject.spool());
      }
      await store.put('file-a', looking(), { maxBytes: MAX_BYTES });
      expect(names).toEqual([]);
    });

    test('is rid of what a crash left, and of nothing else, at the next start', async () => {
      await writeFile(join(subject.spool(), 'file-a.0123456789ab.spool'), 'x');
      await writeFile(join(subject.spool(), 'somebody-elses.txt'), 'x');
      await subject.create();
      expect(await readdir(subject.spool())).toEqual(['somebody-elses.txt']);
    });
  });
});
