import type { Request, Response } from 'express';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import parseRange from 'range-parser';
import { GatewayError } from '../domain/errors.js';
import type { ByteRange } from '../files/file-store.js';
import type { FileRow, FilesService } from '../files/files-service.js';

/**
 * Answers with a file's bytes: 200, or 206 for a single `Range`; 416 `range_not_satisfiable`. Several ranges at once, and a range
 * whose `If-Range` does not match, are answered with the whole file, as HTTP allows.
 */
export async function sendFileContent(
  request: Request,
  response: Response,
  file: FileRow,
  files: FilesService,
): Promise<void> {
  const etag = `"${file.sha256}"`;
  const range = wantedRange(request, file.sizeBytes, etag);
  const length = range === null ? file.sizeBytes : range.end - range.start + 1;
  const setHeaders = (): void => {
    response.attachment(file.filename);
    response.set({
      'Content-Type': 'application/octet-stream',
      'Content-Length': String(length),
      'Accept-Ranges': 'bytes',
      ETag: etag,
      ...(range === null ? {} : { 'Content-Range': `bytes ${range.start}-${range.end}/${file.sizeBytes}` }),
    });
    response.status(range === null ? 200 : 206);
  };
  if (request.method === 'HEAD' || length === 0) {
    setHeaders();
    response.end();
    return;
  }
  await send(await files.openContent(file, range ?? undefined), response, setHeaders);
}

/**
 * Content that breaks, or is not what was uploaded, cuts the answer short of its Content-Length instead of ending it as if
 * whole; before its first byte there is still time for an answer that says so. A client that leaves closes the content.
 *
 * Not `pipeline`: it closes the connection before the error is thrown, and then a store that broke looks like a client that left.
 */
async function send(content: Readable, response: Response, setHeaders: () => void): Promise<void> {
  const left = new AbortController();
  const leave = (): void => {
    left.abort();
    content.destroy();
  };
  response.once('close', leave);
  if (response.destroyed) leave();
  try {
    for await (const chunk of content) {
      if (response.destroyed) return;
      if (!response.headersSent) setHeaders();
      if (!response.write(chunk)) await once(response, 'drain', { signal: left.signal });
    }
  } finally {
    content.destroy();
  }
  response.end();
}

function wantedRange(request: Request, sizeBytes: number, etag: string): ByteRange | null {
  const header = request.get('range');
  if (header === undefined || !/^bytes\s*=/i.test(header)) return null;
  const ifRange = request.get('if-range');
  if (ifRange !== undefined && ifRange !== etag) return null;
  // A suffix longer than the file means all of it; the parser calls that unsatisfiable.
  const suffix = /^bytes\s*=\s*-(\d+)\s*$/i.exec(header)?.[1];
  if (suffix !== undefined && Number(suffix) >= sizeBytes && sizeBytes > 0) return { start: 0, end: sizeBytes - 1 };
  const ranges = parseRange(sizeBytes, header);
  if (ranges === -1) {
    throw new GatewayError('range_not_satisfiable', `The range lies outside the file, which has ${sizeBytes} bytes.`, {
      headers: { 'Content-Range': `bytes */${sizeBytes}` },
    });
  }
  if (ranges === -2 || ranges.length !== 1) return null;
  const [range] = ranges;
  return range === undefined ? null : { start: range.start, end: range.end };
}
