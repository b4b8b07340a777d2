// Imports nothing: workflows take values from here.

/** The vendors' names in our API, rows, queues and emulators. */
export const PROVIDER_NAMES = ['openai', 'azure-openai', 'bedrock', 'vertex', 'fireworks'] as const;
export type ProviderName = (typeof PROVIDER_NAMES)[number];

/** Portkey's spellings in headers and virtual keys, for the same vendors. */
export const PROVIDER_ALIASES: Readonly<Record<string, ProviderName>> = {
  'vertex-ai': 'vertex',
  'fireworks-ai': 'fireworks',
};
