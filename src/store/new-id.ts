import { createHmac } from 'node:crypto';
import { customAlphabet } from 'nanoid';

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';
const JOB_ID_LENGTH = 26;
const random = customAlphabet(ALPHABET, 24);

/** A new id such as `file-…`: the prefix and 24 characters `[a-z0-9]`. */
export function newId(
  prefix: 'file-' | 'upload_' | 'part_' | 'ftevent-' | 'ftckpt_' | 'vk_' | 'key_' | 'req_',
): string {
  return prefix + random();
}

/** A job id: valid as a workflow id, and as a name or token at every provider. */
export function newJobId(): string {
  return `ftjob-${random(JOB_ID_LENGTH)}`;
}

/**
 * The job id of an idempotent create. The same workspace and key always give the same id, so that even a
 * database restored from an old backup cannot start the job twice.
 */
export function jobIdForIdempotencyKey(secret: Uint8Array, workspaceId: string, idempotencyKey: string): string {
  return `ftjob-${base36(digest(secret, ['job', workspaceId, idempotencyKey]), JOB_ID_LENGTH)}`;
}

/** The id of a file made from a provider's result: the same however often it is collected. */
export function fileIdForResult(jobId: string, reference: string): string {
  return `file-${base36(digest(Buffer.alloc(0), ['result', jobId, reference]), 24)}`;
}

function digest(secret: Uint8Array, parts: readonly string[]): Buffer {
  return createHmac('sha256', secret).update(JSON.stringify(parts)).digest();
}

function base36(bytes: Buffer, length: number): string {
  const number = BigInt(`0x${bytes.toString('hex')}`) % 36n ** BigInt(length);
  return number.toString(36).padStart(length, '0');
}
