import { GatewayError } from '../domain/errors.js';
import type { Providers } from '../domain/provider-port.js';
import type { VirtualKeyRow } from '../store/virtual-keys.js';
import type { VirtualKeys } from '../vault/virtual-keys.js';

export interface ChooseVirtualKeyDependencies {
  readonly virtualKeys: Pick<VirtualKeys, 'list' | 'resolveById'>;
  readonly providers: Providers;
}

export interface VirtualKeyRequest {
  readonly workspaceId: string;
  /** Lower-case option names; the two that name a key are read here. */
  readonly portkeyOptions: Readonly<Record<string, string>>;
  /** What the provider will be asked to tune. */
  readonly model: string;
  /** The field in which the caller gave it. */
  readonly modelParam: string;
}

export const VIRTUAL_KEY_OPTION = 'x-portkey-virtual-key';
export const PROVIDER_OPTION = 'x-portkey-provider';

const LOOK_UP_DEADLINE_MS = 2_000;

/**
 * The virtual key of a managed create: the one named, else the only one whose provider recognises the model, else the
 * default among several. Fails with `unknown_virtual_key`, `virtual_key_required` or `model_not_available`.
 */
export async function chooseVirtualKey(
  { virtualKeys, providers }: ChooseVirtualKeyDependencies,
  request: VirtualKeyRequest,
): Promise<VirtualKeyRow> {
  const named = namedSlug(request.portkeyOptions);
  if (named !== null) {
    const key = (await virtualKeys.list(request.workspaceId)).find(({ slug }) => slug === named.slug);
    if (key !== undefined) return key;
    // Not repeated: people paste credentials where a name belongs.
    const message = `No virtual key of this workspace has the slug given in '${named.param}'.`;
    throw new GatewayError('unknown_virtual_key', message, { param: named.param });
  }

  const all = await virtualKeys.list(request.workspaceId);
  // Nobody trains in a sandbox believing otherwise: one real key in the workspace, and sandboxes must be named.
  const real = all.filter((key) => !key.sandbox);
  const eligible = real.length > 0 ? real : all;
  const answers = await Promise.all(
    eligible.map(async (key) => ({ key, can: await canTune({ virtualKeys, providers }, key, request.model) })),
  );
  // Without an answer a key stays a candidate: a slow look-up must not decide whose account pays.
  const candidates = answers.filter(({ can }) => can !== false).map(({ key }) => key);
  const [only, ...others] = candidates;
  if (only !== undefined && others.length === 0) return only;
  const preferred = candidates.find((key) => key.isDefault);
  if (preferred !== undefined) return preferred;
  if (eligible.length > 0 && candidates.length === 0) {
    throw new GatewayError(
      'model_not_available',
      `Model ${request.model} is not available for fine-tuning or does not exist.`,
      { param: request.modelParam },
    );
  }
  const slugs = candidates.map((key) => `'${key.slug}'`).join(', ');
  throw new GatewayError(
    'virtual_key_required',
    slugs === ''
      ? 'This workspace has no virtual key. Create one under /v1/virtual-keys.'
      : `Several virtual keys can tune '${request.model}': name one of ${slugs} as '${VIRTUAL_KEY_OPTION}' in 'portkey_options'.`,
    { param: `portkey_options.${VIRTUAL_KEY_OPTION}` },
  );
}

function namedSlug(options: Readonly<Record<string, string>>): { slug: string; param: string } | null {
  const slug = options[VIRTUAL_KEY_OPTION]?.replace(/^@/, '');
  const provider = options[PROVIDER_OPTION];
  const param = `portkey_options.${PROVIDER_OPTION}`;
  if (provider !== undefined && !/^@./.test(provider)) {
    const message = `Invalid value for '${param}': expected the slug of a virtual key with '@' before it.`;
    throw new GatewayError('invalid_request', message, { param });
  }
  const fromProvider = provider?.slice(1);
  if (slug !== undefined && fromProvider !== undefined && slug !== fromProvider) {
    const message = `'${VIRTUAL_KEY_OPTION}' and '${PROVIDER_OPTION}' in 'portkey_options' name different virtual keys.`;
    throw new GatewayError('invalid_request', message, { param });
  }
  if (slug !== undefined) return { slug, param: `portkey_options.${VIRTUAL_KEY_OPTION}` };
  return fromProvider === undefined ? null : { slug: fromProvider, param };
}

/** Null where nobody could tell, in time. */
async function canTune(
  { virtualKeys, providers }: ChooseVirtualKeyDependencies,
  key: VirtualKeyRow,
  model: string,
): Promise<boolean | null> {
  const definition = providers.get(key.provider);
  const recognised = definition.recognisesModel(model);
  if (recognised === false) return false;
  const signal = AbortSignal.timeout(LOOK_UP_DEADLINE_MS);
  const deadline = new Promise<null>((resolve) =>
    signal.addEventListener('abort', () => resolve(null), { once: true }),
  );
  try {
    const { settings } = await virtualKeys.resolveById(key.id);
    const answer = await Promise.race([definition.connect(settings).canTune(model, signal), deadline]);
    return answer ?? recognised;
  } catch {
    // A vendor that is away, or refuses these credentials, answers the job itself; a create is not blocked by it.
    return recognised;
  }
}
