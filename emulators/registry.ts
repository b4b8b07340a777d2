import type { CreateVendorEmulator } from './core/emulator.js';
import { createOpenAiEmulator } from './openai/index.js';

/** Every emulated vendor; adding one is its folder and its line here. */
export const vendorEmulators: readonly CreateVendorEmulator[] = [createOpenAiEmulator];
