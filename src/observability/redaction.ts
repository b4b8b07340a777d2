/** What stands in a log where a secret stood. */
export const REDACTED = '[redacted]';

const SECRET_NAME =
  /^(key|api_?key|x-api-key|x-portkey-api-key|authorization|proxy-authorization|cookie|set-cookie|password|passwd|secret|token|credentials?|master_?key|private_?key|client_?secret|connection_?string|database_?url|sealed_?(settings|options)|portkey_?options|.*(_|-)(secret|token|password|api_?key|access_?key)|.*(Secret|Token|Password|ApiKey|AccessKey|AccessKeyId|MasterKey|PrivateKey))$/;
const SECRET_NAME_ANY_CASE =
  /^(x-portkey-.*(key|token|secret|authorization|config)|.*secret.*|authorization|api-?key|password|token)$/i;

// None of these crosses a double quote or a backslash, so that they hold inside JSON text too.
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^"]*?(?:-----END [A-Z ]*PRIVATE KEY-----|(?=")|$)/g;
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/?#@"\\]*):[^\s/?#@"\\]+@/gi;
const AUTHORIZATION = /\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}/gi;
const SECRET_PARAMETER = /([?&](?:key|api[-_]?key|token|access_token|sig|signature|secret|password)=)[^&\s"'\\]+/gi;
const KEY_SHAPES = [
  // OpenAI, our own gateway keys and others that write `sk-…`, `pk-…`, `ts-…`.
  /\b(?:sk|pk|rk|tsk|ts)[-_][A-Za-z0-9_-]{12,}/g,
  // Fireworks, Google API keys and access tokens, AWS key ids, JSON web tokens.
  /\bfw_[A-Za-z0-9]{12,}/g,
  /\bAIza[A-Za-z0-9_-]{20,}/g,
  /\bya29\.[A-Za-z0-9_-]{12,}/g,
  /\b(?:AKIA|ASIA|ABSK)[A-Za-z0-9+/=]{12,}/g,
  /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?/g,
] as const;

/** The text without anything that is shaped like a credential. */
export function redactText(text: string): string {
  let result = text
    .replace(PRIVATE_KEY, REDACTED)
    .replace(URL_PASSWORD, `$1:${REDACTED}@`)
    .replace(AUTHORIZATION, `$1 ${REDACTED}`)
    .replace(SECRET_PARAMETER, `$1${REDACTED}`);
  for (const shape of KEY_SHAPES) result = result.replace(shape, REDACTED);
  return result;
}

const MAX_DEPTH = 8;
const MAX_ITEMS = 100;

/** A copy of a value that is safe to log: secret fields by name, credentials by shape; errors as plain objects. */
export function redactValue(value: unknown): unknown {
  return redact(value, 0, new Set());
}

function redact(value: unknown, depth: number, ancestors: Set<object>): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? '[function]' : value;
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (ancestors.has(value)) return '[circular]';
  if (depth >= MAX_DEPTH) return '[deeper]';
  ancestors.add(value);
  try {
    if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => redact(item, depth + 1, ancestors));
    const result: Record<string, unknown> = {};
    if (value instanceof Error) {
      result['type'] = value.name;
      result['message'] = redactText(value.message);
      if (value.stack !== undefined) result['stack'] = redactText(value.stack);
      if (value.cause !== undefined) result['cause'] = redact(value.cause, depth + 1, ancestors);
    }
    for (const [name, item] of Object.entries(value)) {
      if (item === undefined || Object.hasOwn(result, name)) continue;
      result[name] = isSecretName(name) && item !== null ? REDACTED : redact(item, depth + 1, ancestors);
    }
    return result;
  } finally {
    ancestors.delete(value);
  }
}

/** True for the name of a field or header that holds a credential. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) || SECRET_NAME_ANY_CASE.test(name);
}
