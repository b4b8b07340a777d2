// One call of the `openai` client: time-out over headers and body, the answer checked, failures in our words.
import type { APIPromise } from 'openai';
import type { z } from 'zod';
import { GatewayError } from '../../domain/errors.js';
import { toGatewayError, type ErrorContext, type OperationKind } from './openai-errors.js';
import { pageReply } from './openai-fine-tuning.js';

export interface CallOptions {
  readonly kind: OperationKind;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What every call hands to the client. Retries are off: Temporal's are the only ones. */
export interface ClientOptions {
  readonly signal: AbortSignal;
  readonly timeout: number;
  readonly maxRetries: 0;
}

type Send = (options: ClientOptions) => APIPromise<unknown>;

export interface OpenAICaller {
  /** The JSON of an answer. */
  json<Schema extends z.ZodType>(schema: Schema, options: CallOptions, send: Send): Promise<z.infer<Schema>>;
  /** The pages of a list by cursor, until the caller stops reading. */
  pages<Schema extends z.ZodType<{ id: string }>>(
    schema: Schema,
    options: CallOptions,
    send: (after: string | undefined, options: ClientOptions) => APIPromise<unknown>,
  ): AsyncIterable<readonly z.infer<Schema>[]>;
  /** The bytes of an answer; the time-out runs over all of them. */
  bytes(options: CallOptions, send: Send): Promise<AsyncIterable<Uint8Array>>;
}

/**
 * A caller with the vendor's names and secrets. Once `signal` is aborted its reason is thrown as it is; every other
 * failure is a GatewayError.
 */
export function createOpenAICaller(vendor: Omit<ErrorContext, 'kind'>): OpenAICaller {
  const guard = async <Result>(
    options: CallOptions,
    timeout: AbortSignal,
    run: () => Promise<Result>,
  ): Promise<Result> => {
    try {
      options.signal.throwIfAborted();
      return await run();
    } catch (error) {
      options.signal.throwIfAborted();
      if (error instanceof GatewayError) throw error;
      if (timeout.aborted) {
        const message = `${vendor.vendor} did not answer within ${options.timeoutMs / 1000} seconds.`;
        throw new GatewayError('provider_unavailable', message, { provider: vendor.provider });
      }
      throw toGatewayError(error, { ...vendor, kind: options.kind });
    }
  };
  // The client's own time-out ends with the headers; a body that stops half-way needs ours.
  const limits = (options: CallOptions): { timeout: AbortSignal; client: ClientOptions } => {
    const timeout = AbortSignal.timeout(options.timeoutMs);
    const signal = AbortSignal.any([options.signal, timeout]);
    return { timeout, client: { signal, timeout: options.timeoutMs, maxRetries: 0 } };
  };
  const invalid = (response: Response, what: string): GatewayError => {
    const requestId = response.headers.get('x-request-id');
    return new GatewayError('provider_invalid_response', `${vendor.vendor}'s answer could not be read: ${what}.`, {
      provider: vendor.provider,
      providerStatus: response.status,
      ...(requestId === null ? {} : { providerRequestId: requestId }),
    });
  };

  const json: OpenAICaller['json'] = (schema, options, send) => {
    const { timeout, client } = limits(options);
    return guard(options, timeout, async () => {
      // The raw response, because the client takes a page of HTML for an empty list.
      const response = await send(client).asResponse();
      const body = parseJson(await response.text());
      if (body === undefined) throw invalid(response, 'it is not JSON');
      const parsed = schema.safeParse(body);
      if (parsed.success) return parsed.data;
      const issue = parsed.error.issues[0];
      const path = issue?.path.join('.') ?? '';
      throw invalid(response, `${path === '' ? 'the body' : path}: ${issue?.message ?? 'unexpected'}`);
    });
  };

  return {
    json,
    async *pages(schema, options, send) {
      let after: string | undefined;
      for (;;) {
        const page = await json(pageReply(schema), options, (client) => send(after, client));
        if (page.data.length > 0) yield page.data;
        const last = page.data.at(-1)?.id;
        if (page.has_more !== true || last === undefined || last === after) return;
        after = last;
      }
    },
    async bytes(options, send) {
      const { timeout, client } = limits(options);
      const response = await guard(options, timeout, () => send(client).asResponse());
      return readBody(response, (run) => guard(options, timeout, run));
    },
  };
}

async function* readBody(
  response: Response,
  guard: <Result>(run: () => Promise<Result>) => Promise<Result>,
): AsyncIterable<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const chunk = await guard(() => reader.read());
      if (chunk.done) return;
      yield chunk.value;
    }
  } finally {
    // After an error there is nothing left to cancel; an early end of reading frees the connection.
    await reader.cancel().catch(() => undefined);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
