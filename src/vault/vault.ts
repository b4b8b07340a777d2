import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { GatewayError } from '../domain/errors.js';
import type { JsonValue } from '../domain/json.js';

/** What a sealed value belongs to; it opens nowhere else. */
export interface SealContext {
  /** What it is, such as `virtual-key` or `job-options`. */
  readonly kind: string;
  readonly rowId: string;
  readonly workspaceId: string;
}

export interface Vault {
  /** Names the master key without telling anything of it. */
  readonly keyId: string;
  /** Seals a JSON value for one row of one workspace. */
  seal(value: JsonValue, context: SealContext): Buffer;
  /** `credentials_unreadable` for another master key, another row or workspace, and for bytes that were changed. */
  open(sealed: Uint8Array, context: SealContext): JsonValue;
  /** A secret of its own for another use of the master key, such as deriving ids; 32 bytes, always the same for a purpose. */
  derive(purpose: string): Buffer;
}

const KEY_BYTES = 32;
const VERSION = 1;
const KEY_ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES;
const ALGORITHM = 'aes-256-gcm';

/**
 * AES-256-GCM under a key derived from the master key. Layout of a sealed value: version (1 byte), key id (8), nonce (12), tag
 * (16), cipher text. Version, key id and context are authenticated, so a value copied to another row does not open.
 */
export function createVault(masterKey: Uint8Array): Vault {
  if (masterKey.length !== KEY_BYTES)
    throw new TypeError(`the master key has ${masterKey.length} bytes, not ${KEY_BYTES}`);
  const derive = (purpose: string): Buffer =>
    Buffer.from(hkdfSync('sha256', masterKey, Buffer.alloc(0), `tunesmith:${purpose}`, KEY_BYTES));
  const key = derive('seal');
  const keyId = createHash('sha256').update(derive('key-id')).digest().subarray(0, KEY_ID_BYTES);
  return {
    keyId: keyId.toString('hex'),
    derive,
    seal(value, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(associatedData(keyId, context));
      const cipherText = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
      return Buffer.concat([Buffer.of(VERSION), keyId, nonce, cipher.getAuthTag(), cipherText]);
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed);
      if (bytes.length < HEADER_BYTES || bytes[0] !== VERSION) throw unreadable(context, 'its form is unknown');
      if (!bytes.subarray(1, 1 + KEY_ID_BYTES).equals(keyId))
        throw unreadable(context, 'it was sealed under another master key');
      const nonceEnd = 1 + KEY_ID_BYTES + NONCE_BYTES;
      const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(1 + KEY_ID_BYTES, nonceEnd), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(associatedData(keyId, context));
      decipher.setAuthTag(bytes.subarray(nonceEnd, HEADER_BYTES));
      try {
        const text = Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES)), decipher.final()]).toString('utf8');
        // @NOTE authenticated, and written by `seal` from a JsonValue.
        return JSON.parse(text) as JsonValue;
      } catch {
        throw unreadable(context, 'it was changed, or belongs to another row');
      }
    },
  };
}

/**
 * The master key from configuration: 32 bytes as 64 hexadecimal digits or as base64 (also the URL-safe kind). Throws a
 * TypeError that says what is wrong without repeating the value.
 */
export function parseMasterKey(text: string): Buffer {
  const trimmed = text.trim();
  if (/^[0-9a-fA-F]{64}$/.test(trimmed)) return Buffer.from(trimmed, 'hex');
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)) {
    const bytes = Buffer.from(trimmed, 'base64');
    if (bytes.length === KEY_BYTES) return bytes;
  }
  throw new TypeError(
    'the master key must be 32 random bytes, written as 64 hexadecimal digits or as base64 (make one with: openssl rand -base64 32)',
  );
}

/** A new master key in the form `parseMasterKey` takes. */
export function newMasterKey(): string {
  return randomBytes(KEY_BYTES).toString('base64');
}

function associatedData(keyId: Buffer, context: SealContext): Buffer {
  return Buffer.from(
    JSON.stringify([VERSION, keyId.toString('hex'), context.kind, context.rowId, context.workspaceId]),
  );
}

function unreadable(context: SealContext, why: string): GatewayError {
  return new GatewayError(
    'credentials_unreadable',
    `The sealed ${context.kind} of ${context.rowId} cannot be opened: ${why}.`,
  );
}
