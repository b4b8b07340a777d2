import { createHash, randomBytes } from 'node:crypto';
import type { ApiKeyRepository } from '../store/api-keys.js';
import { newId } from '../store/new-id.js';

/** Whose key a gateway key is. */
export interface GatewayKeyOwner {
  readonly workspaceId: string;
  readonly apiKeyId: string;
}

export interface GatewayKeyService {
  /** Null for a key that is unknown or revoked. Reads the database each time, so that a revocation holds at once. */
  authenticate(key: string): Promise<GatewayKeyOwner | null>;
  /** Makes a given key valid for the workspace, as at the start of an installation. Idempotent. */
  ensure(key: string, owner: { readonly workspaceId: string; readonly name: string }): Promise<void>;
  /** False where there is no such active key. */
  revoke(workspaceId: string, apiKeyId: string): Promise<boolean>;
}

const KEY_BYTES = 32;
const MAX_KEY_LENGTH = 512;

/** Gateway keys. What is looked up is a hash, so neither timing nor the database tells anything about a key. */
export function createGatewayKeys(dependencies: { readonly repository: ApiKeyRepository }): GatewayKeyService {
  const { repository } = dependencies;
  return {
    async authenticate(key) {
      if (key === '' || key.length > MAX_KEY_LENGTH) return null;
      const row = await repository.findActive(hashKey(key));
      return row === null ? null : { workspaceId: row.workspaceId, apiKeyId: row.id };
    },
    async ensure(key, { workspaceId, name }) {
      await repository.ensure({ id: newId('key_'), workspaceId, name, keyHash: hashKey(key) });
    },
    revoke: (workspaceId, apiKeyId) => repository.revoke(workspaceId, apiKeyId),
  };
}

/** A new gateway key: `tsk-` and 43 characters of 256 random bits. */
export function newGatewayKey(): string {
  return `tsk-${randomBytes(KEY_BYTES).toString('base64url')}`;
}

function hashKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
