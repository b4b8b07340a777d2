import { GatewayError } from '../domain/errors.js';
import type { Providers, Tunability } from '../domain/provider-port.js';
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
 * default among several. `check` refuses what needs no vendor to refuse, before one is asked. Fails with
 * `unknown_virtual_key`, `virtual_key_required`, `model_not_available`, or as `check` does.
 */
export async function chooseVirtualKey(
  { virtualKeys, providers }: ChooseVirtualKeyDependencies,
  request: VirtualKeyRequest,
  check: (key: VirtualKeyRow) => Promise<unknown>,
): Promise<VirtualKeyRow> {
  const named = namedSlug(request.portkeyOptions);
  if (named !== null) {
    const key = (await virtualKeys.list(request.workspaceId)).find(({ slug }) => slug === named.slug);
    if (key !== undefined) {
      await check(key);
      // Lists are never the last word: only a vendor that names the model and says no is believed.
      const verdict = await lookUp({ virtualKeys, providers }, key, request.model);
      if (verdict === 'not_tunable') throw notAvailable(request);
      return key;
    }
    // Not repeated: people paste credentials where a name belongs.
    const message = `No virtual key of this workspace has the slug given in '${named.param}'.`;
    throw new GatewayError('unknown_virtual_key', message, { param: named.param });
  }

  const all = await virtualKeys.list(request.workspaceId);
  // Nobody trains in a sandbox believing otherwise: one real key in the workspace, and sandboxes must be named.
  const real = all.filter((key) => !key.sandbox);
  const eligible = real.length > 0 ? real : all;
  // A request that no key could take is refused before any vendor is asked.
  const checks = await Promise.allSettled(eligible.map((key) => check(key)));
  const [first] = eligible;
  if (first !== undefined && checks.every(({ status }) => status === 'rejected')) await check(first);
  const answers = await Promise.all(
    eligible.map(async (key) => ({ key, verdict: await recognise({ virtualKeys, providers }, key, request.model) })),
  );
  // Without an answer a key stays a candidate: a slow look-up must not decide whose account pays.
  const candidates = answers
    .filter(({ verdict }) => verdict === 'tunable' || verdict === 'unknown')
    .map(({ key }) => key);
  const [only, ...others] = candidates;
  if (only !== undefined && others.length === 0) return only;
  const preferred = candidates.find((key) => key.isDefault);
  if (preferred !== undefined) return preferred;
  if (eligible.length > 0 && candidates.length === 0) throw notAvailable(request);
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

function notAvailable(request: VirtualKeyRequest): GatewayError {
  const message = `Model ${request.model} is not available for fine-tuning or does not exist.`;
  return new GatewayError('model_not_available', message, { param: request.modelParam });
}

/** By the id's shape where that decides, else by asking the vendor. */
async function recognise(
  dependencies: ChooseVirtualKeyDependencies,
  key: VirtualKeyRow,
  model: string,
): Promise<Tunability> {
  const byShape = dependencies.providers.get(key.provider).recognisesModel(model);
  if (byShape === false) return 'unlisted';
  const verdict = await lookUp(dependencies, key, model);
  return verdict === 'unknown' && byShape === true ? 'tunable' : verdict;
}

/** `unknown` also where the vendor is away, late, or refuses the credentials: the job will tell; a create waits for nobody. */
async function lookUp(
  { virtualKeys, providers }: ChooseVirtualKeyDependencies,
  key: VirtualKeyRow,
  model: string,
): Promise<Tunability> {
  const signal = AbortSignal.timeout(LOOK_UP_DEADLINE_MS);
  const deadline = new Promise<Tunability>((resolve) =>
    signal.addEventListener('abort', () => resolve('unknown'), { once: true }),
  );
  try {
    const { settings } = await virtualKeys.resolveById(key.id);
    const provider = providers.get(key.provider).connect(settings);
    return await Promise.race([provider.canTune(model, signal), deadline]);
  } catch {
    return 'unknown';
  }
}
