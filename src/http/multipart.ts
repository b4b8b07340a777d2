import busboy from 'busboy';
import type { Request } from 'express';
import type { Readable } from 'node:stream';
import { GatewayError } from '../domain/errors.js';

export interface FilePart {
  readonly name: string;
  readonly filename: string | undefined;
  readonly content: Readable;
}

export interface MultipartHandlers {
  /** Called for each part that is a file; the next part waits until its content is read. A failure ends the whole request. */
  onFile(part: FilePart, signal: AbortSignal): Promise<void>;
  /** Called for each other part, in order. A throw ends the whole request. */
  onField(name: string, value: string): void;
}

const MAX_FIELD_BYTES = 64 * 1024;
const MAX_FIELD_NAME_BYTES = 200;
const MAX_PARTS = 32;
const MAX_PART_HEADERS = 50;

/**
 * Streams a multipart body through the handlers, with back pressure from the reader of a file to the socket. Ends when all of it
 * was read and every handler is done; a client that breaks off ends it with an error, and aborts the signal that the handlers have.
 */
export async function readMultipart(request: Request, handlers: MultipartHandlers): Promise<void> {
  const parser = createParser(request);
  const abort = new AbortController();
  const work: Promise<void>[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const clientGone = (): void => {
        if (!request.complete) reject(new GatewayError('invalid_request', 'The upload was cut off.'));
      };
      request.once('close', clientGone);
      request.once('error', clientGone);
      parser.on('file', (name, content, { filename }: { filename: string | undefined }) => {
        // A failure of the parser reaches the reader of the content; without a listener it would end the process as well.
        content.on('error', ignore);
        const handled = handlers.onFile({ name, filename, content }, abort.signal);
        handled.catch(reject);
        work.push(handled);
      });
      parser.on('field', (name, value, { valueTruncated, nameTruncated }) => {
        try {
          if (valueTruncated || nameTruncated) throw new GatewayError('payload_too_large', 'A form field is too long.');
          handlers.onField(name, value);
        } catch (error) {
          reject(error instanceof Error ? error : new Error('field refused', { cause: error }));
        }
      });
      parser.on('partsLimit', () =>
        reject(new GatewayError('invalid_request', `The form has more than ${MAX_PARTS} parts.`)),
      );
      parser.on('error', (error) => reject(malformed(error)));
      parser.on('close', resolve);
      request.pipe(parser);
    });
    await Promise.all(work);
  } catch (error) {
    request.unpipe(parser);
    abort.abort(error);
    parser.destroy();
    // Handlers clean up what they began; only then is the outcome known to be nothing.
    await Promise.allSettled(work);
    throw error;
  }
}

function createParser(request: Request): busboy.Busboy {
  const contentType = request.get('content-type') ?? '';
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType)) {
    throw new GatewayError(
      'unsupported_media_type',
      "This call takes a form: set the header 'Content-Type: multipart/form-data' with its boundary.",
    );
  }
  if ((request.get('content-encoding') ?? 'identity').trim().toLowerCase() !== 'identity') {
    throw new GatewayError('unsupported_media_type', 'Content-Encoding is not supported; send the body uncompressed.');
  }
  try {
    return busboy({
      headers: request.headers,
      defParamCharset: 'utf8',
      limits: {
        fieldNameSize: MAX_FIELD_NAME_BYTES,
        fieldSize: MAX_FIELD_BYTES,
        parts: MAX_PARTS,
        headerPairs: MAX_PART_HEADERS,
      },
    });
  } catch (error) {
    throw malformed(error);
  }
}

function malformed(cause: unknown): GatewayError {
  const reason = cause instanceof Error ? cause.message : 'unknown form';
  return new GatewayError('invalid_request', `The multipart body cannot be read: ${reason}.`, { cause });
}

function ignore(): void {
  // Seen by whoever reads the content.
}
