import { z } from 'zod';

export const OPENAI_BASE_URL = 'https://api.openai.com/v1';

/**
 * Where each spelling goes: ours first, then those of Portkey's admin API and headers.
 * Header values are checked as such, because fetch repeats a value it refuses, key included, in its error.
 */
const SPELLINGS = {
  apiKey: ['apiKey', 'key', 'api_key'],
  baseUrl: ['baseUrl', 'baseURL', 'base_url', 'customHost', 'custom_host'],
  organization: ['organization', 'openaiOrganization', 'openai_organization'],
  project: ['project', 'openaiProject', 'openai_project'],
  beta: ['beta', 'openaiBeta', 'openai_beta'],
} as const;
type Setting = keyof typeof SPELLINGS;

const absent = (value: unknown): unknown => (value === '' || value === null ? undefined : value);
const headerValue = z.string().regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces');
const FIELDS = {
  // An `Authorization` option arrives with its scheme.
  apiKey: z
    .string()
    .transform((value) => value.trim().replace(/^bearer\s+/i, ''))
    .pipe(headerValue),
  baseUrl: z.string().transform(normaliseBaseUrl),
  organization: headerValue,
  project: headerValue,
  beta: headerValue,
} satisfies Record<Setting, z.ZodType<string>>;

const field = z.preprocess(absent, z.string().optional());
const rawSettings = z.strictObject(
  Object.fromEntries(Object.values(SPELLINGS).flatMap((names) => names.map((name) => [name, field]))),
);

/** OpenAI's settings, normalised; optional ones are absent rather than empty. */
export type OpenAISettings = { apiKey: string } & Partial<Record<Exclude<Setting, 'apiKey'>, string>>;

/** Accepts every spelling, refuses other keys and contradictions, and is stable on its own output. */
export const openaiSettings = rawSettings.transform((raw, context): OpenAISettings => {
  const found: Partial<Record<Setting, string>> = {};
  for (const setting of ['apiKey', 'baseUrl', 'organization', 'project', 'beta'] as const) {
    const given = SPELLINGS[setting].filter((name) => raw[name] !== undefined);
    const name = given[0];
    if (name === undefined) continue;
    if (new Set(given.map((candidate) => raw[candidate])).size > 1) {
      context.addIssue({ code: 'custom', path: [name], message: `contradicts ${given.slice(1).join(', ')}` });
      continue;
    }
    const parsed = FIELDS[setting].safeParse(raw[name]);
    if (parsed.success) found[setting] = parsed.data;
    else context.addIssue({ code: 'custom', path: [name], message: parsed.error.issues[0]?.message ?? 'is wrong' });
  }
  const { apiKey } = found;
  if (apiKey === undefined) {
    if (SPELLINGS.apiKey.every((name) => raw[name] === undefined)) {
      context.addIssue({ code: 'custom', path: ['apiKey'], message: 'is required (Portkey calls it `key`)' });
    }
    return z.NEVER;
  }
  return { ...found, apiKey };
});

export const openaiSecretSettings = ['apiKey'] as const;

/** Portkey's option headers. `authorization` takes "Bearer sk-…" or the bare key. */
export const openaiOptionHeaders = {
  authorization: 'apiKey',
  'x-portkey-custom-host': 'baseUrl',
  'x-portkey-openai-organization': 'organization',
  'x-portkey-openai-project': 'project',
  'x-portkey-openai-beta': 'beta',
} as const satisfies Record<string, Setting>;

/** OpenAI has no job parameters beside those of its own create body. */
export const openaiJobOptions = z.strictObject({});

function normaliseBaseUrl(value: string, context: z.RefinementCtx): string {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    context.addIssue({ code: 'custom', message: 'must be an http or https address' });
    return z.NEVER;
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    context.addIssue({ code: 'custom', message: 'must have no credentials, query or fragment' });
    return z.NEVER;
  }
  return url.href.replace(/\/+$/, '');
}
