import { GatewayError } from '../domain/errors.js';
import type { ProviderDefinition, Providers } from '../domain/provider-port.js';
import { PROVIDER_NAMES, type ProviderName } from '../domain/provider-name.js';
import { openai } from './openai/index.js';

/** The one list of providers. */
const PROVIDERS: Readonly<Partial<Record<ProviderName, ProviderDefinition>>> = { openai };

/** The registry. `get` throws GatewayError `unsupported_operation`, naming those there are, for another one. */
export function createProviders(): Providers {
  const names = PROVIDER_NAMES.filter((name) => PROVIDERS[name] !== undefined);
  return {
    names,
    get(name) {
      const definition = PROVIDERS[name];
      if (definition !== undefined) return definition;
      throw new GatewayError(
        'unsupported_operation',
        `The provider ${name} is not part of this build, which has ${names.join(', ')}.`,
        { provider: name },
      );
    },
  };
}
