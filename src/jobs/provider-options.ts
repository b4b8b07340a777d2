import type { z } from 'zod';
import { GatewayError } from '../domain/errors.js';
import type { JsonObject } from '../domain/json.js';
import type { ProviderDefinition } from '../domain/provider-port.js';
import { PROVIDER_OPTION, VIRTUAL_KEY_OPTION } from './choose-virtual-key.js';

/** What `jobs.sealed_options` is sealed as: the settings that override the virtual key's for one job. */
export const JOB_OPTIONS_KIND = 'job-options';

/** Settings that override the virtual key's for one job, by the option headers given. Unknown names are `unknown_parameter`. */
export function settingOverrides(
  definition: ProviderDefinition,
  portkeyOptions: Readonly<Record<string, string>>,
): JsonObject {
  const overrides = new Map<string, string>();
  const named = new Map<string, string>();
  for (const [name, value] of Object.entries(portkeyOptions)) {
    if (name === VIRTUAL_KEY_OPTION || name === PROVIDER_OPTION) continue;
    const setting = Object.hasOwn(definition.optionHeaders, name) ? definition.optionHeaders[name] : undefined;
    if (setting === undefined) {
      const param = `portkey_options.${name}`;
      throw new GatewayError('unknown_parameter', `'${param}' is no option of the provider '${definition.name}'.`, {
        param,
      });
    }
    overrides.set(setting, value);
    named.set(setting, name);
  }
  const endpoint = definition.endpointSettings.find((setting) => overrides.has(setting));
  if (endpoint !== undefined && !definition.secretSettings.some((setting) => overrides.has(setting))) {
    // The virtual key's credentials are for the host that they were stored with.
    const param = `portkey_options.${named.get(endpoint) ?? endpoint}`;
    const message = `'${param}' sends the job elsewhere than its virtual key says, so it needs credentials of its own beside it.`;
    throw new GatewayError('invalid_request', message, { param });
  }
  return Object.fromEntries(overrides);
}

/**
 * The virtual key's settings with a job's overrides laid over them, checked: what `connect` takes. The message repeats
 * no value: it may be a credential.
 */
export function overrideSettings(
  definition: ProviderDefinition,
  settings: JsonObject,
  overrides: JsonObject,
): JsonObject {
  const result = definition.settings.safeParse({ ...settings, ...overrides });
  if (result.success) return result.data;
  const setting = result.error.issues[0]?.path[0];
  const header = Object.entries(definition.optionHeaders).find(
    ([, name]) => name === setting && Object.hasOwn(overrides, name),
  )?.[0];
  const param = header === undefined ? 'portkey_options' : `portkey_options.${header}`;
  throw new GatewayError('invalid_request', `Invalid value for '${param}': the provider's settings do not allow it.`, {
    param,
  });
}

/** The provider's own parameters: `provider_options`, over which keys at the top level of the body win. */
export function parseJobOptions(
  definition: ProviderDefinition,
  providerOptions: JsonObject,
  extraOptions: JsonObject,
): JsonObject {
  const result = definition.jobOptions.safeParse({ ...providerOptions, ...extraOptions });
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const spelled = (path: readonly PropertyKey[]): string => {
    const [first] = path;
    const top = typeof first === 'string' && Object.hasOwn(extraOptions, first);
    return [...(top ? [] : ['provider_options']), ...path.map(String)].join('.');
  };
  if (issue?.code === 'unrecognized_keys') {
    const param = spelled([...issue.path, issue.keys[0] ?? '']);
    const message = `Unrecognized request argument supplied: ${param}. It is neither OpenAI's nor an option of the provider '${definition.name}'.`;
    throw new GatewayError('unknown_parameter', message, { param });
  }
  const param = spelled(issue?.path ?? []);
  throw new GatewayError('invalid_request', `Invalid value for '${param}': ${reason(issue)}.`, { param });
}

function reason(issue: z.core.$ZodIssue | undefined): string {
  const message = issue?.message ?? 'not allowed';
  return message.replace(/^Invalid input: /, '').replace(/\.$/, '');
}
