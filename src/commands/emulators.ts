import { startEmulators } from '../../emulators/main.js';
import { stopSignal } from './stop-signal.js';

export interface EmulatorsOptions {
  readonly host: string;
  readonly port: number;
  readonly journal?: string;
}

/** `tunesmith emulators`: the provider emulators alone, for other people's tests. Needs no configuration. */
export async function runEmulators(options: EmulatorsOptions): Promise<void> {
  const emulators = await startEmulators({
    host: options.host,
    port: options.port,
    ...(options.journal === undefined ? {} : { journalDirectory: options.journal }),
  });
  process.stdout.write(`The provider emulators listen on ${emulators.url}\n`);
  await stopSignal();
  await emulators.close();
}
