#!/usr/bin/env node
import { Command, InvalidArgumentError, Option } from 'commander';
import type { PreflightCommandOptions } from './commands/preflight.js';
import { productVersion } from './commands/version.js';

// Each command is loaded when it is called: `--help` and the emulators need none of the rest.
const program = new Command('tunesmith')
  .description('A durable fine-tuning gateway: one OpenAI-compatible API, every job a Temporal workflow.')
  .version(productVersion())
  .showHelpAfterError('(add --help for what there is)')
  .addHelpText('after', '\nThe configuration is read from environment variables: see docs/configuration.md.');

program
  .command('up')
  .description('everything on one machine: Temporal, PostgreSQL, gateway, worker, emulators')
  .action(async () => {
    const { runUp } = await import('./commands/up.js');
    await runUp();
  });

program
  .command('gateway')
  .description('the REST front door alone; needs DATABASE_URL, TEMPORAL_ADDRESS, FILE_STORE, TUNESMITH_MASTER_KEY')
  .action(async () => {
    const { runGateway } = await import('./commands/gateway.js');
    await runGateway();
  });

program
  .command('worker')
  .description('workers alone; the same variables as the gateway; scale by adding processes')
  .action(async () => {
    const { runWorker } = await import('./commands/worker.js');
    await runWorker();
  });

program
  .command('emulators')
  .description("emulators of the providers' APIs, for tests")
  .option('--host <address>', 'address to listen on', '127.0.0.1')
  .option('--port <number>', 'port to listen on; 0 takes a free one', portNumber, 8788)
  .option('--journal <directory>', 'keep what the emulators hold across restarts')
  .action(async (options: { host: string; port: number; journal?: string }) => {
    const { runEmulators } = await import('./commands/emulators.js');
    await runEmulators(options);
  });

program
  .command('preflight')
  .description('check a dataset before it is uploaded; needs no gateway, and exits with 1 where it finds an error')
  .argument('<file>', 'a .jsonl file; - reads standard input')
  .addOption(
    new Option('--method <method>', 'what the file is for')
      .choices(['supervised', 'dpo', 'reinforcement'])
      .default('supervised'),
  )
  .addOption(new Option('--role <role>', "the file's part").choices(['training', 'validation']).default('training'))
  .option('--model <model>', 'the model to be tuned: decides the tokenizer and the limit of tokens a row')
  .option('--epochs <number>', 'times that the file is trained on, for the total of tokens', wholeNumber)
  .option('--exact-tokens', "count tokens with the model's tokenizer; several times slower")
  .option('--max-row-bytes <number>', 'longest row (default: 16 MiB; at most 512 MiB)', rowBytes)
  .option('--max-rows <number>', 'most rows (default: as many as there are)', wholeNumber)
  .option('--minimum-rows <number>', 'fewest rows (default: 10 for training, 1 for validation)', wholeNumber)
  .option('--json', 'print the report as JSON')
  .action(async (file: string, options: PreflightCommandOptions) => {
    const { runPreflight } = await import('./commands/preflight.js');
    process.exitCode = await runPreflight(file, options);
  });

/** As `MAX_ROW_BYTES`: a longer row does not fit into a string. */
function rowBytes(text: string): number {
  const bytes = wholeNumber(text);
  if (bytes <= 512 * 1024 * 1024) return bytes;
  throw new InvalidArgumentError('it must be at most 536870912');
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('it must be a whole number above 0');
}

function portNumber(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('it must be a whole number from 0 to 65535');
}

try {
  await program.parseAsync();
  process.exit();
} catch (error) {
  const { ConfigurationError } = await import('./config/config.js');
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(error instanceof ConfigurationError ? `${message}\n` : `tunesmith: ${message}\n`);
  process.exit(1);
}
