import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import OpenAI from 'openai';
import { createSavedProgress, gatewayErrorOf, inPieces } from '../../../test/support/contract-inputs.js';
import type { JsonValue } from '../../domain/json.js';
import { createOpenAICaller } from './openai-call.js';
import { createOpenAIUploads, UPLOAD_SIZES, type FileInParts } from './openai-uploads.js';

const NOW = new Date('2026-11-23T12:00:00.000Z');
const IN_AN_HOUR = NOW.getTime() / 1000 + 3600;
const CONTENT = Buffer.from('0123456789abcdefghijklmno');
const never = new AbortController().signal;

type Answer = (path: string, body: string) => Response | undefined;

/** A vendor that does as it should, but for what a test answers instead. */
function vendorThat(answer: Answer = () => undefined, now: () => Date = () => NOW) {
  const calls: string[] = [];
  const bodies: string[] = [];
  const fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const path = new URL(input instanceof Request ? input.url : input).pathname.replace('/v1', '');
    const body = init?.body === undefined ? '' : await new Response(init.body).text();
    calls.push(path);
    bodies.push(body);
    const other = answer(path, body);
    if (other !== undefined) return other;
    if (path === '/uploads') return Response.json({ id: 'upload_1', status: 'pending', expires_at: IN_AN_HOUR });
    if (path.endsWith('/parts')) return Response.json({ id: `part_${calls.length}` });
    if (path.endsWith('/cancel')) return Response.json({ id: 'upload_1', status: 'cancelled' });
    return Response.json({ id: 'upload_1', status: 'completed', file: { id: 'file-1', bytes: CONTENT.length } });
  };
  const uploads = createOpenAIUploads({
    client: new OpenAI({ apiKey: 'sk-test', baseURL: 'https://vendor.test/v1', maxRetries: 0, fetch }),
    caller: createOpenAICaller({ vendor: 'OpenAI', provider: 'openai', secrets: [] }),
    vendor: 'OpenAI',
    provider: 'openai',
    partBytes: 10,
    now,
  });
  const saved = createSavedProgress();
  const send = (more: Partial<FileInParts> = {}) =>
    uploads.send(
      {
        fileName: 'ftjob-1-training.jsonl',
        content: inPieces(CONTENT, 4),
        sizeBytes: CONTENT.length,
        resumeFrom: saved.last(),
        saveProgress: saved.saveProgress,
        find: () => Promise.resolve(null),
        ...more,
      },
      never,
    );
  return { uploads, calls, bodies, saved, send };
}

const refusal = (status: number, message = 'No.'): Response =>
  Response.json({ error: { message, type: 'invalid_request_error', param: null, code: null } }, { status });
const progress = (change: Record<string, JsonValue> = {}): JsonValue => ({
  kind: 'openai_upload',
  uploadId: 'upload_0',
  sizeBytes: CONTENT.length,
  partBytes: 10,
  partIds: ['part_a'],
  expiresAt: '2026-11-23T12:30:00.000Z',
  ...change,
});

it('files above 100 MB go in parts of at most 64 MB, by either reading of that', () => {
  expect(UPLOAD_SIZES.partBytes).toBeLessThanOrEqual(64 * 1000 * 1000);
  expect(UPLOAD_SIZES.inPartsAboveBytes).toBe(100_000_000);
});

describe('an upload in parts', () => {
  it('says name, size, kind and purpose first, and the order of its parts and the MD5 of the whole last', async () => {
    const { send, bodies, calls } = vendorThat();
    expect(await send()).toBe('file-1');
    expect(calls.map((path) => path.replace('upload_1', '*'))).toEqual([
      '/uploads',
      '/uploads/*/parts',
      '/uploads/*/parts',
      '/uploads/*/parts',
      '/uploads/*/complete',
    ]);
    expect(JSON.parse(bodies[0] ?? '')).toEqual({
      filename: 'ftjob-1-training.jsonl',
      purpose: 'fine-tune',
      bytes: CONTENT.length,
      mime_type: 'text/jsonl',
    });
    expect(bodies.slice(1, 4).map((body) => /\r\n\r\n(.*)\r\n--/s.exec(body)?.[1])).toEqual([
      '0123456789',
      'abcdefghij',
      'klmno',
    ]);
    expect(JSON.parse(bodies[4] ?? '')).toEqual({
      part_ids: ['part_2', 'part_3', 'part_4'],
      md5: createHash('md5').update(CONTENT).digest('hex'),
    });
  });

  it('goes on with the parts and the size of part that were saved, and hashes from the first byte on', async () => {
    const { send, bodies, calls } = vendorThat();
    await send({ resumeFrom: progress({ partBytes: 12 }) });
    expect(calls).toEqual(['/uploads/upload_0/parts', '/uploads/upload_0/parts', '/uploads/upload_0/complete']);
    expect(bodies[0]).toContain('cdefghijklmn');
    expect(JSON.parse(bodies[2] ?? '')).toEqual({
      part_ids: ['part_a', 'part_1', 'part_2'],
      md5: createHash('md5').update(CONTENT).digest('hex'),
    });
  });

  it.each([
    ['ends within a minute', { expiresAt: '2026-11-23T12:00:59.000Z' }],
    ['is of another size', { sizeBytes: 24 }],
    ['has more parts than the file', { partIds: ['a', 'b', 'c', 'd'] }],
  ])('that was saved and %s is cancelled, and another one begun', async (_what, change) => {
    const { send, calls, saved } = vendorThat();
    expect(await send({ resumeFrom: progress(change) })).toBe('file-1');
    expect(calls.slice(0, 2)).toEqual(['/uploads/upload_0/cancel', '/uploads']);
    expect(saved.every[0]).toBeNull();
  });

  it('whose expiry the vendor did not tell is gone on with', async () => {
    const { send, calls } = vendorThat((path) => (path === '/uploads' ? Response.json({ id: 'upload_1' }) : undefined));
    await send();
    await send({ resumeFrom: progress({ expiresAt: null }) });
    expect(calls.filter((path) => path === '/uploads')).toHaveLength(1);
  });

  it('that is completed and names no file is looked for by name', async () => {
    const { send } = vendorThat((path) =>
      path.endsWith('/complete') ? Response.json({ id: 'upload_1', status: 'completed', file: null }) : undefined,
    );
    expect(await send({ find: () => Promise.resolve('file-found') })).toBe('file-found');
    expect(await gatewayErrorOf(send())).toMatchObject({ code: 'provider_invalid_response', retryable: true });
  });

  it('that became a file of another size is no success, and nothing to go on with', async () => {
    const { send, saved } = vendorThat((path) =>
      path.endsWith('/complete')
        ? Response.json({ id: 'upload_1', status: 'completed', file: { id: 'file-1', bytes: 7 } })
        : undefined,
    );
    expect(await gatewayErrorOf(send())).toMatchObject({
      code: 'provider_invalid_response',
      message: 'OpenAI kept 7 of the 25 bytes of ftjob-1-training.jsonl.',
    });
    expect(saved.every.at(-1)).toBeNull();
  });

  it('whose part is answered before all of it was read does not count that part', async () => {
    const { saved } = vendorThat();
    const hasty = createOpenAIUploads({
      client: new OpenAI({
        apiKey: 'sk-test',
        baseURL: 'https://vendor.test/v1',
        // Its body stays unread.
        fetch: () => Promise.resolve(Response.json({ id: 'upload_or_part' })),
      }),
      caller: createOpenAICaller({ vendor: 'OpenAI', provider: 'openai', secrets: [] }),
      vendor: 'OpenAI',
      provider: 'openai',
      partBytes: 10,
      now: () => NOW,
    });
    const file: FileInParts = {
      fileName: 'a.jsonl',
      content: inPieces(CONTENT, 4),
      sizeBytes: CONTENT.length,
      resumeFrom: undefined,
      saveProgress: saved.saveProgress,
      find: () => Promise.resolve(null),
    };
    expect(await gatewayErrorOf(hasty.send(file, never))).toMatchObject({ code: 'provider_invalid_response' });
    expect(saved.every).toHaveLength(1);
  });
});

describe('a refusal', () => {
  it('of the credentials ends the attempt and leaves what is saved: others may cancel it', async () => {
    const { send, calls, saved } = vendorThat((path) => (path.endsWith('/parts') ? refusal(401) : undefined));
    expect(await gatewayErrorOf(send())).toMatchObject({ code: 'provider_auth_error', retryable: false });
    expect(calls.some((path) => path.endsWith('/cancel'))).toBe(false);
    expect(saved.last()).toMatchObject({ uploadId: 'upload_1', partIds: [] });
  });

  it.each([404, 400, 409])(
    'with %i of an upload that was gone on with lets the next attempt begin anew',
    async (status) => {
      const { send, saved, calls } = vendorThat((path) =>
        path.startsWith('/uploads/upload_0/') ? refusal(status, 'Upload has expired.') : undefined,
      );
      const error = await gatewayErrorOf(send({ resumeFrom: progress() }));
      expect(error).toMatchObject({ retryable: true, provider: 'openai', providerStatus: status });
      expect(error.message).toContain('begins anew');
      expect(saved.every.at(-1)).toBeNull();
      expect(await send()).toBe('file-1');
      expect(calls.filter((path) => path === '/uploads')).toHaveLength(1);
    },
  );

  it('of completing what was gone on with lets the next attempt begin anew, once', async () => {
    const { send } = vendorThat((path) =>
      path.endsWith('/complete') ? refusal(400, 'The md5 does not match.') : undefined,
    );
    expect(await gatewayErrorOf(send({ resumeFrom: progress() }))).toMatchObject({ retryable: true });
    expect(await gatewayErrorOf(send())).toMatchObject({ retryable: false });
  });

  it('with 404 of an upload just begun lets the next attempt begin anew, but not of one that lived its hour', async () => {
    let now = NOW;
    const { send } = vendorThat(
      (path) => (path.endsWith('/parts') ? refusal(404, 'No such Upload object.') : undefined),
      () => now,
    );
    expect(await gatewayErrorOf(send())).toMatchObject({ code: 'provider_not_found', retryable: true });
    // An uninterrupted upload that takes more than its hour would take it again and again.
    const slow = vendorThat(
      (path) => {
        if (!path.endsWith('/parts')) return undefined;
        now = new Date((IN_AN_HOUR + 1) * 1000);
        return refusal(404, 'No such Upload object.');
      },
      () => now,
    );
    expect(await gatewayErrorOf(slow.send())).toMatchObject({ code: 'provider_not_found', retryable: false });
  });

  it('is what the caller sees where the cancel fails as well, and what is saved stays for the discard', async () => {
    const { send, saved, uploads, calls } = vendorThat((path) => {
      if (path.endsWith('/parts')) return refusal(400, 'Too much.');
      return path.endsWith('/cancel') && calls.length < 4 ? refusal(503) : undefined;
    });
    expect((await gatewayErrorOf(send())).message).toContain('Too much.');
    expect(saved.last()).toMatchObject({ uploadId: 'upload_1' });
    await uploads.discard(saved.last(), never);
    expect(calls.at(-1)).toBe('/uploads/upload_1/cancel');
  });

  it('of a cancel says that nothing is left; an outage and refused credentials do not', async () => {
    for (const status of [400, 404, 409, 422]) {
      await vendorThat(() => refusal(status)).uploads.discard(progress(), never);
    }
    for (const [status, code] of [
      [503, 'provider_unavailable'],
      [401, 'provider_auth_error'],
    ] as const) {
      const { uploads } = vendorThat(() => refusal(status));
      expect(await gatewayErrorOf(uploads.discard(progress(), never))).toMatchObject({ code });
    }
  });
});
