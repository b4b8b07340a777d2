import { PutObjectCommand } from '@aws-sdk/client-s3';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Fault } from '../../test/support/fault-proxy.js';
import { until } from '../../test/support/until.js';
import {
  ATTEMPTS,
  bytes,
  COMPLETE,
  createS3UnderTest,
  failureOf,
  MIB,
  OPEN,
  put,
  PUT_PART,
  PUT_WHOLE,
  refusal,
  type S3UnderTest,
} from './test-support/s3-under-test.js';

let subject: S3UnderTest;
beforeAll(async () => {
  subject = await createS3UnderTest();
});
afterAll(() => subject.close());

describe('the S3 file store', () => {
  beforeEach(() => subject.begin());
  afterEach(() => subject.end());

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
      const store = await subject.create();
      const whole = await bytes(sizeBytes);
      subject.faulty(matches, 1, fault);
      expect(await put(store, sizeBytes)).toMatchObject({ sizeBytes });
      expect((await buffer(await store.open('file-a'))).equals(whole)).toBe(true);
      expect(await subject.stored()).toEqual([`${subject.prefix()}/content/file-a`]);
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
        const store = await subject.create();
        const before = subject.proxy.requests.length;
        subject.faulty(matches, Infinity, fault);
        expect(await failureOf(put(store, size))).toMatchObject({ code: 'storage_unavailable' });
        expect(subject.proxy.requests.slice(before).filter((line) => matches.test(line))).toHaveLength(ATTEMPTS);
        expect(await subject.stored()).toEqual([]);
      },
    );

    test('does not take an object of other bytes for the one whose completion was lost', async () => {
      const store = await subject.create();
      await put(store, 10);
      subject.faulty(COMPLETE, 1, refusal(404, 'NoSuchUpload'));
      expect(await failureOf(put(store, 20 * MIB))).toMatchObject({ code: 'storage_unavailable' });
    });

    test('ends at once for a client that leaves while S3 does not answer, and cleans up', async () => {
      const store = await subject.create({ options: { timing: { idleTimeoutMs: 60_000 } } });
      for (const [size, matches] of [
        [3 * MIB, PUT_WHOLE],
        [20 * MIB, PUT_PART],
      ] as const) {
        const abort = new AbortController();
        subject.proxy.decide(({ method, path }) => {
          if (!matches.test(`${method} ${path}`)) return undefined;
          abort.abort(new Error('the client left'));
          return { kind: 'stall-answer', afterBytes: 0 };
        });
        await expect(put(store, size, abort.signal)).rejects.toThrow('the client left');
        // The server may have the whole content by the time that the connection ends: then all of it is there, never a part.
        expect((await subject.stored()).filter((name) => name.includes('begun'))).toEqual([]);
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
      const store = await subject.create();
      const whole = await bytes(SIZE);
      await put(store, SIZE);
      subject.faulty(OPEN, times, fault);
      expect((await buffer(await store.open('file-a'))).equals(whole)).toBe(true);
      subject.faulty(OPEN, times, fault);
      const part = await buffer(await store.open('file-a', { start: 1_000, end: SIZE - 1_000 }));
      expect(part.equals(whole.subarray(1_000, SIZE - 999))).toBe(true);
    });

    test.each<readonly [string, Fault]>([
      ['is cut', { kind: 'cut-answer', afterBytes: 0 }],
      ['stalls', { kind: 'stall-answer', afterBytes: 0 }],
      ['is refused', refusal(503, 'SlowDown')],
    ])('ends with an error, and not as if all were read, where every further attempt %s', async (_what, fault) => {
      const store = await subject.create();
      await put(store, SIZE);
      let opened = 0;
      subject.proxy.decide(() => ((opened += 1) === 1 ? { kind: 'cut-answer', afterBytes: MIB } : fault));
      const reader = await store.open('file-a');
      let received = 0;
      const read = async (): Promise<void> => {
        for await (const chunk of reader) received += Buffer.from(chunk as Uint8Array).length;
      };
      expect(await failureOf(read())).toMatchObject({ code: 'storage_unavailable' });
      expect(received).toBeLessThanOrEqual(MIB);
    });

    /** The first answer is cut, and something happens before the second attempt. */
    const cutAndThen = (happens: () => Promise<unknown>): void => {
      let opened = 0;
      subject.proxy.decide(async ({ method, path }) => {
        if (!OPEN.test(`${method} ${path}`)) return undefined;
        opened += 1;
        if (opened === 1) return { kind: 'cut-answer', afterBytes: MIB };
        if (opened === 2) await happens();
        return undefined;
      });
    };

    test('ends with an error where the object is another one by the time that it goes on', async () => {
      const store = await subject.create();
      await put(store, SIZE);
      const { bucket, client } = subject.server;
      const other = { Bucket: bucket, Key: `${subject.prefix()}/content/file-a`, Body: Buffer.alloc(SIZE, 'other') };
      cutAndThen(() => client.send(new PutObjectCommand(other)));
      const failure = await failureOf(buffer(await store.open('file-a')));
      expect(failure).toMatchObject({ code: 'storage_unavailable', cause: { code: 'PreconditionFailed' } });
    });

    test('says that the content is missing where it was deleted meanwhile', async () => {
      const store = await subject.create();
      await put(store, SIZE);
      cutAndThen(() => store.delete('file-a'));
      expect(await failureOf(buffer(await store.open('file-a')))).toMatchObject({ code: 'file_content_missing' });
    });

    test('goes on for a reader that paused for longer than a connection may be idle', async () => {
      const store = await subject.create({ options: { timing: { idleTimeoutMs: 100 } } });
      const whole = await bytes(20 * MIB);
      await put(store, 20 * MIB);
      const before = subject.proxy.requests.length;
      const reader = await store.open('file-a');
      await new Promise((resolve) => reader.once('readable', resolve));
      // Its connection ends while nobody reads.
      await until('the connection to end', () => subject.proxy.active() === 0);
      expect((await buffer(reader)).equals(whole)).toBe(true);
      expect(subject.proxy.requests.length - before).toBeGreaterThan(1);
    });
  });
});
