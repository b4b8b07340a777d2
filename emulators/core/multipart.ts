import busboy from 'busboy';
import type { Request } from 'express';
import type { ContentStore } from './content.js';

export interface MultipartForm {
  fields: Map<string, string>;
  /** Names of file parts other than the expected one. */
  unexpectedFiles: string[];
  file: { filename: string; mimeType: string; sizeBytes: number; truncated: boolean } | undefined;
}

/** Thrown when the request is no multipart form at all (by its content type), or one that cannot be read. */
export class MultipartError extends Error {
  readonly isMultipart: boolean;
  constructor(isMultipart: boolean) {
    super('unreadable multipart form');
    this.isMultipart = isMultipart;
  }
}

// Not `pipeline`: on a malformed form it would destroy the request, and with it the connection for the refusal.
async function feed(request: Request, parser: busboy.Busboy): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    parser.once('close', resolve);
    parser.once('error', () => {
      request.unpipe(parser);
      request.resume();
      reject(new MultipartError(true));
    });
    request.once('close', () => {
      if (request.complete) return;
      reject(new Error('the client broke off'));
      parser.destroy();
    });
    request.pipe(parser);
  });
}

/**
 * Reads a multipart form, streaming the file part named `fileField` into the content store under `key`.
 * When the client breaks off, it rejects and leaves nothing behind.
 */
export async function readMultipart(
  request: Request,
  content: ContentStore,
  options: { fileField: string; key: string; maxFileBytes: number },
): Promise<MultipartForm> {
  let parser: busboy.Busboy;
  try {
    parser = busboy({ headers: request.headers, limits: { fileSize: options.maxFileBytes }, defParamCharset: 'utf8' });
  } catch {
    throw new MultipartError(false);
  }
  const form: MultipartForm = { fields: new Map(), unexpectedFiles: [], file: undefined };
  let writing: Promise<void> | undefined;
  parser.on('field', (name, value) => form.fields.set(name, value));
  parser.on('file', (name, stream, info) => {
    if (name !== options.fileField || writing !== undefined) {
      form.unexpectedFiles.push(name);
      stream.resume();
      return;
    }
    writing = content.write(options.key, stream).then(({ sizeBytes }) => {
      const truncated = 'truncated' in stream && stream.truncated;
      form.file = { filename: info.filename ?? '', mimeType: info.mimeType, sizeBytes, truncated };
    });
    // Awaited below; until then a broken stream must not count as unhandled.
    writing.catch(() => undefined);
  });
  try {
    await feed(request, parser);
    await writing;
  } catch (error) {
    await Promise.resolve(writing).catch(() => undefined);
    await content.delete(options.key);
    throw error;
  }
  return form;
}
