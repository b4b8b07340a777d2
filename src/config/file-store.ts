import { isAbsolute, join, resolve } from 'node:path';
import type { FileStoreLocation, S3Credentials, S3Location } from '../files/location.js';
import type { Environment } from './env.js';

/** The variables about the file store, as they were read. */
interface FileStoreVariables {
  readonly TUNESMITH_HOME: string;
  readonly FILE_STORE?: string | undefined;
  readonly FILE_STORE_S3_ENDPOINT?: string | undefined;
  readonly FILE_STORE_S3_REGION: string;
  readonly FILE_STORE_S3_PATH_STYLE?: boolean | undefined;
  readonly FILE_STORE_S3_ENCRYPTION?: S3Location['encryption'] | undefined;
  readonly FILE_STORE_S3_KMS_KEY_ID?: string | undefined;
  readonly FILE_STORE_SPOOL?: string | undefined;
}

/** Where files are kept as the variables say; null where they leave it to an embedded start. */
export function fileStoreLocation(values: FileStoreVariables, problems: string[]): FileStoreLocation | null {
  const address = values.FILE_STORE;
  if (values.FILE_STORE_S3_KMS_KEY_ID !== undefined && values.FILE_STORE_S3_ENCRYPTION?.startsWith('aws:') !== true) {
    problems.push('FILE_STORE_S3_KMS_KEY_ID: needs FILE_STORE_S3_ENCRYPTION to be aws:kms or aws:kms:dsse');
  }
  if (address === undefined) return null;
  if (!address.startsWith('s3:')) return { kind: 'directory', directory: directoryOf(address) };
  const { hostname, pathname } = new URL(address);
  return {
    kind: 's3',
    bucket: hostname,
    prefix: decodeURIComponent(pathname).replace(/^\/+|\/+$/g, ''),
    endpoint: values.FILE_STORE_S3_ENDPOINT ?? null,
    region: values.FILE_STORE_S3_REGION,
    pathStyle: values.FILE_STORE_S3_PATH_STYLE ?? values.FILE_STORE_S3_ENDPOINT !== undefined,
    encryption: values.FILE_STORE_S3_ENCRYPTION ?? null,
    kmsKeyId: values.FILE_STORE_S3_KMS_KEY_ID ?? null,
    spoolDirectory: resolve(values.FILE_STORE_SPOOL ?? join(values.TUNESMITH_HOME, 'spool')),
  };
}

/** Null: those that the AWS SDK finds. */
export function s3Credentials(environment: Environment, problems: string[]): S3Credentials | null {
  const accessKeyId = environment['FILE_STORE_S3_ACCESS_KEY_ID'];
  const secretAccessKey = environment['FILE_STORE_S3_SECRET_ACCESS_KEY'];
  if (accessKeyId !== undefined && secretAccessKey !== undefined) return { accessKeyId, secretAccessKey };
  if (accessKeyId !== undefined || secretAccessKey !== undefined) {
    problems.push('FILE_STORE_S3_ACCESS_KEY_ID and FILE_STORE_S3_SECRET_ACCESS_KEY: give both or neither');
  }
  return null;
}

function directoryOf(fileStore: string): string {
  const path = fileStore.startsWith('file://') ? fileStore.slice('file://'.length) : fileStore.slice('file:'.length);
  return isAbsolute(path) ? path : resolve(path);
}
