import type { FileStore } from './file-store.js';
import { createLocalFileStore } from './local.js';
import type { FileStoreLocation, S3Credentials } from './location.js';
import { createS3FileStore } from './s3.js';

/** The file store of a location. Fails where its directory, or the spool's, cannot be made. */
export function openFileStore(location: FileStoreLocation, credentials: S3Credentials | null): Promise<FileStore> {
  return location.kind === 'directory'
    ? createLocalFileStore(location.directory)
    : createS3FileStore(location, credentials);
}
