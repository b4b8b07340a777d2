import type { ProviderDefinition } from '../../domain/provider-port.js';
import { openaiCapabilities, checkRequest, recognisesModel } from './map.js';
import { createOpenAIProvider } from './provider.js';
import { openaiJobOptions, openaiOptionHeaders, openaiSecretSettings, openaiSettings } from './settings.js';

/** OpenAI. */
export const openai: ProviderDefinition = {
  name: 'openai',
  capabilities: openaiCapabilities,
  settings: openaiSettings,
  secretSettings: openaiSecretSettings,
  endpointSettings: ['baseUrl'],
  optionHeaders: openaiOptionHeaders,
  jobOptions: openaiJobOptions,
  recognisesModel,
  checkRequest,
  connect: (settings) => createOpenAIProvider(openaiSettings.parse(settings)),
};
