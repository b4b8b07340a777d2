/** The two ways OpenAI's models cut text into tokens that a fine-tunable model has. */
export type SplitRules = 'cl100k' | 'o200k';

/** An encoding by OpenAI's name for it. */
export interface Encoding {
  readonly name: string;
  /** The file of byte pairs in `gpt-tokenizer/data`, without its ending. */
  readonly ranks: 'cl100k_base' | 'o200k_base';
  readonly split: SplitRules;
}

/** What is known of a model's tokens. */
export interface ModelTokens {
  readonly encoding: Encoding;
  /** Most tokens of a row that it trains on, the rest being cut; null where no source says. */
  readonly limit: number | null;
}

const CL100K: Encoding = { name: 'cl100k_base', ranks: 'cl100k_base', split: 'cl100k' };
const O200K: Encoding = { name: 'o200k_base', ranks: 'o200k_base', split: 'o200k' };
// Differs from o200k_base in its special tokens alone, which a dataset's text never has.
const HARMONY: Encoding = { name: 'o200k_harmony', ranks: 'o200k_base', split: 'o200k' };

/**
 * The first that matches wins. Encodings are those of tiktoken 0.14.0's `model.py`. Limits: 65,536 of
 * https://developers.openai.com/api/docs/guides/supervised-fine-tuning; 16,385 of OpenAI's cookbook
 * (Chat_finetuning_data_prep) and 4,096 for 0613 of the older fine-tuning guide (all read 2026-11-23).
 */
const FAMILIES: readonly (readonly [RegExp, ModelTokens])[] = [
  [/^gpt-4(o|\.1)(?![a-z0-9])/, { encoding: O200K, limit: 65_536 }],
  [/^(chatgpt-4o|gpt-4\.5|gpt-5|o[1-9])(?![0-9a-z])/, { encoding: O200K, limit: null }],
  [/^gpt-oss(?![a-z0-9])/, { encoding: HARMONY, limit: null }],
  [/^gpt-3\.?5-turbo(-16k)?-0613$/, { encoding: CL100K, limit: null }],
  [/^gpt-3\.?5(?![0-9])/, { encoding: CL100K, limit: 16_385 }],
  [/^gpt-4(?![0-9a-z.])/, { encoding: CL100K, limit: null }],
  [/^(babbage|davinci)-002(?![0-9a-z])/, { encoding: CL100K, limit: null }],
];

/**
 * The tokens of a model, by the name it is tuned under: OpenAI's and Azure's names, `ft:` models of theirs, and the same
 * names in a path (`accounts/fireworks/models/gpt-oss-20b`). Other vendors' models have tokenizers of their own; their rows
 * are counted in `o200k_base`, which is an approximation (mostly within a fifth for English, further off for other
 * languages) that the report shows by naming the encoding.
 */
export function modelTokens(model: string | undefined): ModelTokens {
  const name = (model ?? '').toLowerCase().replace(/^ft:/, '').replace(/^.*\//, '');
  const found = FAMILIES.find(([pattern]) => pattern.test(name));
  return found?.[1] ?? { encoding: O200K, limit: null };
}
