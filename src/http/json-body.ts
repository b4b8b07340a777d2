import type { Request, RequestHandler } from 'express';
import { GatewayError } from '../domain/errors.js';
import { findJsonError } from './json-text.js';

export interface JsonBodyOptions {
  /** 1 MiB where not given. */
  readonly maxBytes?: number;
  /** True where a call may come without a body; it then reads as `{}`. */
  readonly optional?: boolean;
}

const DEFAULT_MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 64;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Reads the body as a JSON object into `request.body`. 400 `invalid_json` with line and column, 413 `payload_too_large`,
 * 415 `unsupported_media_type`. What no jsonb column could hold (U+0000, lone surrogates),
 * the key `__proto__` and deep nesting are 400 here.
 */
export function jsonBody(options: JsonBodyOptions = {}): RequestHandler {
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  return async (request, _response, next) => {
    const bytes = await readBytes(request, maxBytes);
    if (bytes.length === 0) {
      if (options.optional !== true)
        throw new GatewayError('invalid_request', 'This call needs a JSON body, and the body is empty.');
      request.body = {};
    } else {
      checkContentType(request);
      request.body = parseObject(bytes);
    }
    next();
  };
}

async function readBytes(request: Request, maxBytes: number): Promise<Buffer> {
  const encoding = request.get('content-encoding')?.trim().toLowerCase() ?? 'identity';
  if (encoding !== 'identity') {
    throw new GatewayError('unsupported_media_type', 'Content-Encoding is not supported; send the body uncompressed.');
  }
  const tooLarge = (): GatewayError =>
    new GatewayError('payload_too_large', `The body is over the limit of ${maxBytes} bytes for this call.`);
  if (Number(request.get('content-length') ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  // The request must outlive a refusal: its socket carries the answer.
  const parts: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const part of parts) {
    sizeBytes += part.length;
    if (sizeBytes > maxBytes) throw tooLarge();
    chunks.push(part);
  }
  return Buffer.concat(chunks, sizeBytes);
}

function checkContentType(request: Request): void {
  const given = request.get('content-type') ?? '';
  const [type = '', ...parameters] = given.split(';').map((part) => part.trim().toLowerCase());
  if (!/^application\/(?:[a-z0-9.-]+\+)?json$/.test(type)) {
    throw new GatewayError(
      'unsupported_media_type',
      "This call takes JSON: set the header 'Content-Type: application/json'.",
    );
  }
  const charset = parameters
    .find((parameter) => parameter.startsWith('charset='))
    ?.slice('charset='.length)
    .replaceAll('"', '');
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8' && charset !== 'us-ascii') {
    throw new GatewayError('unsupported_media_type', 'JSON is read as UTF-8; other charsets are not supported.');
  }
}

function parseObject(bytes: Buffer): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new GatewayError('invalid_json', 'We could not parse the JSON body of your request: it is not valid UTF-8.');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const position = findJsonError(text) ?? { offset: 0, line: 1, column: 1 };
    throw new GatewayError(
      'invalid_json',
      `We could not parse the JSON body of your request: unexpected ${position.offset === text.length ? 'end of input' : 'character'} at line ${position.line}, column ${position.column}.`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GatewayError('invalid_request', 'The body must be a JSON object.');
  }
  checkStorable(value);
  return value;
}

/** Without recursion: the nesting is the client's. */
function checkStorable(root: object): void {
  const pending: { value: unknown; depth: number }[] = [{ value: root, depth: 1 }];
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    const { value, depth } = entry;
    if (typeof value === 'string') {
      checkText(value);
    } else if (typeof value === 'object' && value !== null) {
      if (depth > MAX_DEPTH)
        throw new GatewayError('invalid_request', `The body is nested deeper than ${MAX_DEPTH} levels.`);
      for (const [key, item] of Object.entries(value)) {
        checkText(key);
        checkKey(key);
        pending.push({ value: item, depth: depth + 1 });
      }
    }
  }
}

/** Copies of an object lose a key of this name, in our code and in libraries: it would be ignored in silence. */
function checkKey(key: string): void {
  if (key !== '__proto__') return;
  throw new GatewayError('invalid_request', `The body must not contain the key '${key}'.`, { param: key });
}

function checkText(text: string): void {
  if (text.includes('\0')) throw new GatewayError('invalid_request', 'The body must not contain the character U+0000.');
  if (LONE_SURROGATE.test(text))
    throw new GatewayError('invalid_request', 'The body contains half of a surrogate pair.');
}
