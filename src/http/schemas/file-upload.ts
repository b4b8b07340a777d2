import { GatewayError } from '../../domain/errors.js';
import { checkFilename, UPLOAD_PURPOSES, type FileDescription, type UploadPurpose } from '../../files/files-service.js';

/** The plain fields of an upload, checked as they come: a wrong one ends the upload before its content is sent to the end. */
export interface UploadForm {
  /** Takes note that the part named `file` began. */
  startFile(name: string, filename: string | undefined): void;
  addField(name: string, value: string): void;
  /** Once all parts are read. */
  describe(): FileDescription;
}

const FIELDS = ['purpose', 'expires_after[anchor]', 'expires_after[seconds]'] as const;
/** How long a file may be asked to live, from its making on. */
export const MIN_EXPIRY_SECONDS = 3_600;
export const MAX_EXPIRY_SECONDS = 2_592_000;
export const MAX_FILENAME_LENGTH = 500;

/** One upload's form. Parts come in any order; unknown and repeated ones are refused by name. */
export function createUploadForm(): UploadForm {
  const fields = new Map<string, string>();
  let filename: string | null = null;
  const checkTogether = (): void => {
    const purpose = fields.get('purpose');
    if (filename !== null && purpose !== undefined) checkFilename(filename, readPurpose(purpose));
  };
  return {
    startFile(name, given) {
      if (name !== 'file')
        throw isField(name) ? refuse(name, `'${name}' must be a plain form field, not a file`) : unknownPart(name);
      if (filename !== null) throw refuse('file', "'file' is given more than once; upload one file per call");
      filename = readFilename(given);
      checkTogether();
    },
    addField(name, value) {
      if (name === 'file') throw refuse('file', "'file' must be a file part with a filename");
      if (!isField(name)) throw unknownPart(name);
      if (fields.has(name)) throw refuse(name, `'${name}' is given more than once`);
      fields.set(name, value);
      if (name === 'purpose') {
        readPurpose(value);
        checkTogether();
      }
      if (name === 'expires_after[anchor]') readAnchor(value);
      if (name === 'expires_after[seconds]') readSeconds(value);
    },
    describe() {
      if (filename === null)
        throw new GatewayError('invalid_request', "'file' is a required property", { param: 'file' });
      const purpose = fields.get('purpose');
      if (purpose === undefined)
        throw new GatewayError('invalid_request', "'purpose' is a required property", { param: 'purpose' });
      const anchor = fields.get('expires_after[anchor]') ?? '';
      const seconds = fields.get('expires_after[seconds]') ?? '';
      if ((anchor === '') !== (seconds === '')) {
        const missing = anchor === '' ? 'expires_after[anchor]' : 'expires_after[seconds]';
        throw refuse(missing, `'${missing}' is required: 'expires_after' has both an anchor and seconds`);
      }
      return {
        filename,
        purpose: readPurpose(purpose),
        ...(seconds === '' ? {} : { expiresAfterSeconds: readSeconds(seconds) }),
      };
    },
  };
}

function isField(name: string): boolean {
  return FIELDS.some((field) => field === name);
}

function readPurpose(value: string): UploadPurpose {
  const purpose = UPLOAD_PURPOSES.find((candidate) => candidate === value);
  if (purpose === undefined) {
    const known = UPLOAD_PURPOSES.map((candidate) => `'${candidate}'`).join(', ');
    throw refuse('purpose', `'${value.slice(0, 64)}' is not one of [${known}] - 'purpose'`);
  }
  return purpose;
}

function readAnchor(value: string): void {
  if (value !== '' && value !== 'created_at') {
    throw refuse('expires_after[anchor]', "Invalid value for 'expires_after[anchor]': expected 'created_at'");
  }
}

function readSeconds(value: string): number {
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (value !== '' && !(seconds >= MIN_EXPIRY_SECONDS && seconds <= MAX_EXPIRY_SECONDS)) {
    throw refuse(
      'expires_after[seconds]',
      `Invalid value for 'expires_after[seconds]': expected an integer between ${MIN_EXPIRY_SECONDS} and ${MAX_EXPIRY_SECONDS}`,
    );
  }
  return seconds;
}

function readFilename(given: string | undefined): string {
  if (given === undefined || given === '') throw refuse('file', "'file' must be a file part with a filename");
  if (!isLegalFilename(given)) {
    throw refuse('file', `the filename must have at most ${MAX_FILENAME_LENGTH} characters and no control characters`);
  }
  return given;
}

/** Neither longer than `MAX_FILENAME_LENGTH` nor with control characters. */
export function isLegalFilename(given: string): boolean {
  return given.length <= MAX_FILENAME_LENGTH && !/[\u0000-\u001f\u007f]/.test(given);
}

function unknownPart(name: string): GatewayError {
  const shown = name.slice(0, 64);
  return new GatewayError('unknown_parameter', `Additional properties are not allowed ('${shown}' was unexpected)`, {
    param: shown,
  });
}

function refuse(param: string, message: string): GatewayError {
  return new GatewayError('invalid_request', message, { param });
}
