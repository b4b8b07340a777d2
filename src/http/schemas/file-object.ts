import type { FilePage, FileRow } from '../../files/files-service.js';

/** OpenAI's File. `expires_at` only where the file expires; `status_details`, deprecated, is never given. */
export interface FileObject {
  readonly id: string;
  readonly object: 'file';
  readonly bytes: number;
  /** Unix seconds, as `expires_at`. */
  readonly created_at: number;
  readonly filename: string;
  readonly purpose: string;
  readonly status: 'processed';
  readonly expires_at?: number;
}

export interface FileListObject {
  readonly object: 'list';
  readonly data: readonly FileObject[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
}

/** A row as OpenAI shows it. */
export function fileObject(row: FileRow): FileObject {
  return {
    id: row.id,
    object: 'file',
    bytes: row.sizeBytes,
    created_at: unixSeconds(row.createdAt),
    filename: row.filename,
    purpose: row.purpose,
    status: 'processed',
    ...(row.expiresAt === null ? {} : { expires_at: unixSeconds(row.expiresAt) }),
  };
}

/** A page as OpenAI shows it. */
export function fileListObject(page: FilePage): FileListObject {
  return {
    object: 'list',
    data: page.files.map(fileObject),
    first_id: page.files[0]?.id ?? null,
    last_id: page.files.at(-1)?.id ?? null,
    has_more: page.hasMore,
  };
}

/** A time as OpenAI shows it. */
export function unixSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
