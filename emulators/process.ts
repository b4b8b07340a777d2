import { renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startEmulators, type EmulatorsOptions } from './main.js';

// The parent may be killed and its pipes with it; the emulators stay, as a vendor would.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

const usage = `Usage: node emulators/process.js [options]

  --host <address>       address to listen on (default 127.0.0.1)
  --port <number>        port; 0 takes a free one (default 8788)
  --journal <directory>  keep state and uploaded contents here over restarts
  --ready-file <path>    write the ready line to this file, too
  --log-level <level>    silent (default) or info
  --help
`;

function readOptions(): { options: EmulatorsOptions; readyFile: string | undefined } | undefined {
  const { values } = parseArgs({
    options: {
      host: { type: 'string' },
      port: { type: 'string', default: '8788' },
      journal: { type: 'string' },
      'ready-file': { type: 'string' },
      'log-level': { type: 'string', default: 'silent' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return undefined;
  }
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`--port: "${values.port}" is no port`);
  const logLevel = values['log-level'];
  if (logLevel !== 'silent' && logLevel !== 'info')
    throw new Error(`--log-level: "${logLevel}" is neither silent nor info`);
  return {
    options: {
      port,
      logLevel,
      ...(values.host === undefined ? {} : { host: values.host }),
      ...(values.journal === undefined ? {} : { journalDirectory: values.journal }),
    },
    readyFile: values['ready-file'],
  };
}

async function run(): Promise<void> {
  const read = readOptions();
  if (read === undefined) return;
  const running = await startEmulators(read.options);
  const stop = () => {
    void running.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  const ready = `${JSON.stringify({ event: 'ready', url: running.url })}\n`;
  if (read.readyFile !== undefined) {
    writeFileSync(`${read.readyFile}.new`, ready);
    renameSync(`${read.readyFile}.new`, read.readyFile);
  }
  process.stdout.write(ready);
}

run().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
