import { GatewayError } from '../domain/errors.js';
import type { Logger } from '../observability/logger.js';
import type { VirtualKeyRow } from '../store/virtual-keys.js';
import type { VirtualKeys } from '../vault/virtual-keys.js';

export const SANDBOX_SLUG = 'sandbox';

/** Points the virtual key `sandbox` at the emulators' address of this start; makes it at the first. */
export async function ensureSandboxKey(
  virtualKeys: VirtualKeys,
  options: { readonly workspaceId: string; readonly emulatorsUrl: string; readonly logger: Logger },
): Promise<void> {
  const { workspaceId, emulatorsUrl, logger } = options;
  const baseUrl = `${emulatorsUrl}/openai/v1`;
  const existing = await findKey(virtualKeys, workspaceId);
  if (existing === null) {
    await virtualKeys.create(workspaceId, {
      name: 'Sandbox: the OpenAI emulator',
      slug: SANDBOX_SLUG,
      provider: 'openai',
      sandbox: true,
      // The emulator's own: it opens nothing anywhere else.
      settings: { apiKey: 'sk-sandbox', baseUrl },
    });
  } else if (existing.sandbox) {
    await virtualKeys.update(workspaceId, SANDBOX_SLUG, { settings: { baseUrl } });
  } else {
    logger.warn({ slug: SANDBOX_SLUG }, 'a virtual key of this name is not the sandbox; it stays as it is');
  }
}

async function findKey(virtualKeys: VirtualKeys, workspaceId: string): Promise<VirtualKeyRow | null> {
  try {
    return await virtualKeys.get(workspaceId, SANDBOX_SLUG);
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'virtual_key_not_found') return null;
    throw error;
  }
}
