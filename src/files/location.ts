/** Where file content is kept. */
export type FileStoreLocation = DirectoryLocation | S3Location;

export interface DirectoryLocation {
  readonly kind: 'directory';
  /** Absolute. */
  readonly directory: string;
}

/** A bucket at AWS or at a server that speaks S3. */
export interface S3Location {
  readonly kind: 's3';
  readonly bucket: string;
  /** Without slashes around it; empty for the whole bucket. */
  readonly prefix: string;
  /** Null: AWS's own. */
  readonly endpoint: string | null;
  readonly region: string;
  readonly pathStyle: boolean;
  /** Null: what the bucket is set to. */
  readonly encryption: 'AES256' | 'aws:kms' | 'aws:kms:dsse' | null;
  readonly kmsKeyId: string | null;
  /** Absolute; a directory of this process alone, where content waits on its way to S3. */
  readonly spoolDirectory: string;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}
