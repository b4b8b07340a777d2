import type { Request } from 'express';
import { credentialFingerprint } from '../core/credentials.js';
import { derivedId } from '../core/random.js';
import type { VendorSettings } from '../core/settings.js';
import { refuse } from './errors.js';

/** Who calls: one key is one organisation, which sees only what it made. */
export interface Caller {
  organizationId: string;
  credential: string;
}

/** The bearer token of a request, or null. */
export function bearerOf(request: Request): string | null {
  return /^Bearer\s+(\S.*)$/i.exec(request.headers.authorization ?? '')?.[1]?.trim() ?? null;
}

export function organizationOf(key: string): string {
  return `org-${derivedId(`organization:${key}`, 24)}`;
}

// OpenAI shows the ends of a refused key; a short one would be shown whole that way.
function masked(key: string): string {
  return key.length < 24 ? '*'.repeat(key.length) : `${key.slice(0, 8)}${'*'.repeat(key.length - 12)}${key.slice(-4)}`;
}

/** Accepts every key `sk-…` that is not revoked; throws OpenAI's 401 otherwise. */
export function authenticate(request: Request, settings: VendorSettings): Caller {
  const key = bearerOf(request);
  if (key === null) {
    throw refuse(
      401,
      "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth " +
        '(i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from https://platform.openai.com/account/api-keys.',
    );
  }
  if (!/^sk-\S+$/.test(key) || settings.isRevoked(key)) {
    throw refuse(
      401,
      `Incorrect API key provided: ${masked(key)}. You can find your API key at https://platform.openai.com/account/api-keys.`,
      { code: 'invalid_api_key' },
    );
  }
  return { organizationId: organizationOf(key), credential: credentialFingerprint(key) };
}
