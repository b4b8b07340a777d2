import type { Request, RequestHandler } from 'express';
import { GatewayError } from '../domain/errors.js';

/** Whose key came with the request. */
export interface Caller {
  readonly workspaceId: string;
  readonly apiKeyId: string;
}

/** Who a gateway key belongs to; null for a key that is unknown or revoked. Asked for every request: a revocation holds at once. */
export interface GatewayKeys {
  authenticate(key: string): Promise<Caller | null>;
}

const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="tunesmith"' };

/**
 * Takes the gateway key from `x-portkey-api-key` or `Authorization: Bearer`. With both, the first decides where it is a gateway
 * key, else the second: Portkey's clients send a provider's key in the other. 401 `missing_api_key` or `invalid_api_key`.
 */
export function createAuthentication(keys: GatewayKeys): RequestHandler {
  return async (request, _response, next) => {
    const candidates = [headerValue(request, 'x-portkey-api-key'), bearerToken(request)].filter((key) => key !== null);
    if (candidates.length === 0) {
      throw new GatewayError(
        'missing_api_key',
        "You didn't provide an API key. Send your gateway key as 'Authorization: Bearer YOUR_KEY' or in the header x-portkey-api-key.",
        { headers: CHALLENGE },
      );
    }
    for (const candidate of new Set(candidates)) {
      const caller = await keys.authenticate(candidate);
      if (caller === null) continue;
      request.caller = caller;
      next();
      return;
    }
    throw new GatewayError(
      'invalid_api_key',
      'Incorrect API key provided: it is no key of this gateway, or it was revoked.',
      {
        headers: CHALLENGE,
      },
    );
  };
}

/** The caller of an authenticated request; 401 where there is none. */
export function requireCaller(request: Request): Caller {
  if (request.caller === undefined) throw new GatewayError('missing_api_key', "You didn't provide an API key.");
  return request.caller;
}

function headerValue(request: Request, name: string): string | null {
  const value = request.get(name)?.trim() ?? '';
  return value === '' ? null : value;
}

function bearerToken(request: Request): string | null {
  const value = headerValue(request, 'authorization');
  if (value === null) return null;
  const token = /^Bearer\s+(.*)$/i.exec(value)?.[1]?.trim();
  // Another scheme is a key that was sent, though not one of ours.
  return token === undefined ? value : token === '' ? null : token;
}
