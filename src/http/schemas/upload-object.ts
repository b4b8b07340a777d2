import type { FileRow } from '../../files/files-service.js';
import type { UploadPartRow, UploadRow } from '../../files/uploads-service.js';
import { fileObject, unixSeconds, type FileObject } from './file-object.js';

/** OpenAI's Upload. */
export interface UploadObject {
  readonly id: string;
  readonly object: 'upload';
  readonly bytes: number;
  /** Unix seconds, as `expires_at`. */
  readonly created_at: number;
  readonly filename: string;
  readonly purpose: string;
  readonly status: UploadRow['status'];
  readonly expires_at: number;
  /** Null until the upload is completed. */
  readonly file: FileObject | null;
}

/** OpenAI's Upload Part. */
export interface UploadPartObject {
  readonly id: string;
  readonly object: 'upload.part';
  readonly created_at: number;
  readonly upload_id: string;
}

/** A row, and the file that was made of it, as OpenAI shows them. */
export function uploadObject(row: UploadRow, file: FileRow | null = null): UploadObject {
  return {
    id: row.id,
    object: 'upload',
    bytes: row.sizeBytes,
    created_at: unixSeconds(row.createdAt),
    filename: row.filename,
    purpose: row.purpose,
    status: row.status,
    expires_at: unixSeconds(row.expiresAt),
    file: file === null ? null : fileObject(file),
  };
}

/** A part's row as OpenAI shows it. */
export function uploadPartObject(row: UploadPartRow): UploadPartObject {
  return { id: row.id, object: 'upload.part', created_at: unixSeconds(row.createdAt), upload_id: row.uploadId };
}
