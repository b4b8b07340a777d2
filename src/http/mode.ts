import type { Request, RequestHandler } from 'express';
import { GatewayError } from '../domain/errors.js';

const PROVIDER_HEADERS = ['x-portkey-provider', 'x-portkey-virtual-key'] as const;
const CONFIG_HEADER = 'x-portkey-config';
/** Keys of a config that choose a provider, in Portkey's spellings. */
const CONFIG_PROVIDER_KEYS = ['provider', 'virtual_key', 'virtualKey', 'targets'] as const;

/**
 * Portkey's mode rule: the header that sends this call to client mode, null for managed mode. Other `x-portkey-*` headers do
 * not count: Portkey's clients keep the options of one call in the headers of the next.
 */
export function clientModeHeader(request: Request): string | null {
  const named = PROVIDER_HEADERS.find((name) => (request.get(name)?.trim() ?? '') !== '');
  if (named !== undefined) return named;
  return configChoosesProvider(request.get(CONFIG_HEADER)?.trim() ?? '') ? CONFIG_HEADER : null;
}

/**
 * Ends well in managed mode; else 400 `unsupported_operation`, or 400 `ambiguous_mode` where the body has `portkey_options` too.
 *
 * @param body the JSON body of a create; left out for calls that take none
 */
export function requireManagedMode(request: Request, body?: unknown): void {
  const header = clientModeHeader(request);
  if (header === null) return;
  if (typeof body === 'object' && body !== null && 'portkey_options' in body && isGiven(body.portkey_options)) {
    throw new GatewayError(
      'ambiguous_mode',
      `'portkey_options' asks for managed mode and the header ${header} for client mode. Drop one of the two.`,
      { param: 'portkey_options' },
    );
  }
  throw new GatewayError(
    'unsupported_operation',
    `The header ${header} asks for client mode, which this version does not have. Drop it, and name a virtual key in 'portkey_options' of the create call.`,
  );
}

/** `requireManagedMode` for routes without a body that could decide. */
export const managedModeOnly: RequestHandler = (request, _response, next) => {
  requireManagedMode(request);
  next();
};

function isGiven(value: unknown): boolean {
  return value !== null && value !== '' && value !== undefined;
}

function configChoosesProvider(config: string): boolean {
  if (config === '') return false;
  if (!config.startsWith('{')) {
    throw new GatewayError(
      'unsupported_operation',
      `The header ${CONFIG_HEADER} names a stored config, which this version does not have. Drop it.`,
    );
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(config);
  } catch {
    throw new GatewayError('invalid_request', `The header ${CONFIG_HEADER} is not valid JSON.`, {
      param: CONFIG_HEADER,
    });
  }
  if (typeof parsed !== 'object' || parsed === null) return false;
  const given = new Map<string, unknown>(Object.entries(parsed));
  return CONFIG_PROVIDER_KEYS.some((key) => isGiven(given.get(key)));
}
