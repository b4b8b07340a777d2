import { z } from 'zod';
import { parseInput } from '../../domain/parse-input.js';
import { UPLOAD_PURPOSES } from '../../files/files-service.js';
import type { CompleteRequest, UploadDescription } from '../../files/uploads-service.js';
import { isLegalFilename, MAX_EXPIRY_SECONDS, MAX_FILENAME_LENGTH, MIN_EXPIRY_SECONDS } from './file-upload.js';

// OpenAI's CreateUploadRequest and CompleteUploadRequest (OpenAPI document of 2026-05-31, read 2026-11-23). The document
// has four purposes for uploads; OpenAI's libraries send those that files have, which are six.

const MAX_MIME_TYPE_LENGTH = 255;
const MAX_PART_ID_LENGTH = 128;

const createSchema = z.strictObject({
  filename: z
    .string()
    .min(1)
    .refine(isLegalFilename, `must have at most ${MAX_FILENAME_LENGTH} characters and no control characters`),
  purpose: z.enum(UPLOAD_PURPOSES),
  bytes: z.int().min(1),
  mime_type: z.string().min(1).max(MAX_MIME_TYPE_LENGTH),
  expires_after: z
    .strictObject({
      anchor: z.literal('created_at'),
      seconds: z.int().min(MIN_EXPIRY_SECONDS).max(MAX_EXPIRY_SECONDS),
    })
    .nullish(),
});

const completeSchema = z.strictObject({
  part_ids: z.array(z.string().max(MAX_PART_ID_LENGTH)).min(1),
  md5: z.union([z.literal(''), z.string().regex(/^[0-9a-f]{32}$/i, 'expected 32 hexadecimal digits')]).nullish(),
});

/** The body of `POST /v1/uploads`; 400 `unknown_parameter` or `invalid_request`. */
export function parseCreateUpload(body: unknown): UploadDescription {
  const fields = parseInput(createSchema, body);
  return {
    filename: fields.filename,
    purpose: fields.purpose,
    sizeBytes: fields.bytes,
    mimeType: fields.mime_type,
    ...(fields.expires_after == null ? {} : { expiresAfterSeconds: fields.expires_after.seconds }),
  };
}

/** The body of a complete; 400 `unknown_parameter` or `invalid_request`. */
export function parseCompleteUpload(body: unknown): CompleteRequest {
  const { part_ids: partIds, md5 } = parseInput(completeSchema, body);
  return { partIds, ...(md5 == null || md5 === '' ? {} : { md5: md5.toLowerCase() }) };
}
