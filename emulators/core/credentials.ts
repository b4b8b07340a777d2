import { createHash } from 'node:crypto';

/** SHA-256 of a credential, in hexadecimal: what is kept where two credentials must be compared. */
export function credentialHash(credential: string): string {
  return createHash('sha256').update(credential).digest('hex');
}

/** The first 16 hexadecimal characters of a credential's SHA-256: tells which one arrived without showing it. */
export function credentialFingerprint(credential: string): string {
  return credentialHash(credential).slice(0, 16);
}
