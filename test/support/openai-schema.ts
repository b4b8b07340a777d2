import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

const STATUSES = ['validating_files', 'queued', 'running', 'succeeded', 'failed', 'cancelled'];
const FILES = ['fine-tuning.json', 'files.json', 'uploads.json'];

export interface OpenAiSchemas {
  /** What is wrong with a value, as one of OpenAI's schemas sees it; empty when nothing is. */
  problems(name: string, value: unknown): readonly string[];
}

/** OpenAI's published schemas, closed: a key that they do not name is a problem, except `gateway` on a job. */
export function loadOpenAiSchemas(): OpenAiSchemas {
  const definitions: Record<string, unknown> = {};
  for (const file of FILES) {
    const text = readFileSync(new URL(`../openai-schema/${file}`, import.meta.url), 'utf8');
    const document: { readonly $defs: Record<string, unknown> } = JSON.parse(text, closed);
    Object.assign(definitions, document.$defs);
  }
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  const validators = new Map<string, ValidateFunction>();
  return {
    problems(name, value) {
      if (!Object.hasOwn(definitions, name)) throw new Error(`OpenAI's document has no schema ${name}`);
      const validate = validators.get(name) ?? ajv.compile({ $defs: definitions, $ref: `#/$defs/${name}` });
      validators.set(name, validate);
      if (validate(value)) return [];
      return (validate.errors ?? []).map(
        ({ instancePath, message, params }) => `${name}${instancePath} ${message ?? ''} ${JSON.stringify(params)}`,
      );
    },
  };
}

function closed(_key: string, value: unknown): unknown {
  // Pause answers with a status that the published enumeration lacks.
  if (Array.isArray(value) && value.includes('validating_files')) return [...STATUSES, 'paused'];
  if (typeof value !== 'object' || value === null || !('properties' in value)) return value;
  const { properties } = value;
  if (typeof properties !== 'object' || properties === null || 'properties' in properties) return value;
  const own = 'trained_tokens' in properties ? { gateway: { type: 'object' } } : {};
  return { ...value, properties: { ...properties, ...own }, additionalProperties: false };
}
