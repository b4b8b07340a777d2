const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;
const REPLACEMENT = '\uFFFD';

/**
 * Text that PostgreSQL and Temporal take: neither a NUL nor half of a surrogate pair, which a cut can leave. At most
 * `maxCharacters` UTF-16 units.
 */
export function safeText(text: string, maxCharacters = Number.POSITIVE_INFINITY): string {
  return text.slice(0, maxCharacters).replaceAll('\0', REPLACEMENT).replace(LONE_SURROGATE, REPLACEMENT);
}

/** JSON for a `jsonb` column: what others wrote, with every string made safe. One bad character must not stop a job. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'string' ? safeText(each) : each));
}
