import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createOpenAICaller, type CallOptions } from './openai-call.js';

const caller = createOpenAICaller({ vendor: 'OpenAI', provider: 'openai', secrets: [] });
const options = (more: Partial<CallOptions> = {}): CallOptions => ({
  kind: 'read',
  timeoutMs: 20,
  signal: new AbortController().signal,
  ...more,
});
const clientWith = (fetch: typeof globalThis.fetch): OpenAI =>
  new OpenAI({ apiKey: 'sk-test', baseURL: 'https://openai.example/v1', fetch, logLevel: 'off' });

/** Rejects once the request is aborted, as fetch does. */
const whenAborted = (init: RequestInit | undefined): Promise<never> =>
  new Promise((_resolve, reject) => {
    init?.signal?.addEventListener('abort', () => reject(new DOMException('This operation was aborted', 'AbortError')));
  });

describe('a call', () => {
  it('ends with the time-out where no answer comes', async () => {
    const client = clientWith((_input, init) => whenAborted(init));
    const call = caller.json(z.object({}), options(), (clientOptions) => client.get('/models', clientOptions));
    await expect(call).rejects.toMatchObject({
      code: 'provider_unavailable',
      retryable: true,
      message: 'OpenAI did not answer within 0.02 seconds.',
    });
  });

  it('ends with the time-out where the answer stops half-way', async () => {
    const client = clientWith((_input, init) => {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('{"id"'));
          whenAborted(init).catch((error: unknown) => controller.error(error));
        },
      });
      return Promise.resolve(new Response(body, { headers: { 'content-type': 'application/json' } }));
    });
    const json = caller.json(z.object({}), options(), (clientOptions) => client.get('/models', clientOptions));
    await expect(json).rejects.toMatchObject({
      code: 'provider_unavailable',
      message: expect.stringContaining('0.02'),
    });
    const bytes = await caller.bytes(options(), (clientOptions) => client.files.content('file-1', clientOptions));
    const read = async (): Promise<void> => {
      for await (const chunk of bytes) expect(chunk.length).toBe(5);
    };
    await expect(read()).rejects.toMatchObject({ code: 'provider_unavailable' });
  });

  it('ends with the reason of a signal that was aborted before or meanwhile', async () => {
    const reason = new Error('cancelled');
    const client = clientWith((_input, init) => whenAborted(init));
    const controller = new AbortController();
    const call = () =>
      caller.json(z.object({}), options({ timeoutMs: 60_000, signal: controller.signal }), (clientOptions) =>
        client.get('/models', clientOptions),
      );
    const pending = call();
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    await expect(call()).rejects.toBe(reason);
  });

  it('stops reading pages where a list does not move on', async () => {
    const cursors: (string | null)[] = [];
    const client = clientWith((input) => {
      const after = new URL(input instanceof Request ? input.url : input).searchParams.get('after');
      cursors.push(after);
      return Promise.resolve(Response.json({ data: [{ id: after === null ? 'a' : 'b' }], has_more: true }));
    });
    const ids = [];
    const pages = caller.pages(z.object({ id: z.string() }), options({ timeoutMs: 60_000 }), (after, clientOptions) =>
      client.get('/files', { ...clientOptions, query: { after } }),
    );
    for await (const page of pages) ids.push(...page.map((item) => item.id));
    // A list that ignores cursors would otherwise be read for ever.
    expect(ids).toEqual(['a', 'b', 'b']);
    expect(cursors).toEqual([null, 'a', 'b']);
  });
});
