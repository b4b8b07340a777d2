const PLACEHOLDER = '[redacted]';

/**
 * Text without credentials: the given ones, what has the form of a key or a bearer token, and the part of a key that
 * OpenAI's 401 repeats ("Incorrect API key provided: sk-ab****wxyz").
 */
export function redactSecrets(text: string, secrets: readonly string[]): string {
  let redacted = text;
  for (const secret of secrets) {
    if (secret !== '') redacted = redacted.replaceAll(secret, PLACEHOLDER);
  }
  return redacted
    .replace(/(api[ _-]?key(?: provided)?\s*[:=]\s*)[^\s,]+/gi, `$1${PLACEHOLDER}`)
    .replace(/(\bbearer\s+)[^\s,]+/gi, `$1${PLACEHOLDER}`)
    .replace(/\bsk-[\w*.-]{4,}/g, PLACEHOLDER)
    .replace(/[^\s"']*\*{3,}[^\s"']*/g, PLACEHOLDER);
}
