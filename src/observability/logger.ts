import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { redactText, redactValue } from './redaction.js';

export type Logger = PinoLogger;
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Standard output where none is given. */
  readonly destination?: DestinationStream;
  /** Fields of every line, such as the process's role. */
  readonly fields?: Readonly<Record<string, string | number>>;
}

/**
 * The root logger: JSON lines, without credentials. Fields are redacted by name (`redaction.ts`), messages and values by the shape of
 * known keys. Take a named child for each part of the program: `namedLogger(logger, 'http')`.
 */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      level: options.level,
      base: { ...options.fields },
      timestamp: pino.stdTimeFunctions.isoTime,
      // Our own pass over the fields comes first; pino's serializer of errors would print them as they are.
      serializers: { err: redactValue, error: redactValue },
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redactFields(fields),
        bindings: (fields) => redactFields(fields),
      },
      hooks: {
        // The last word on the finished line: pino makes a message of an error's by itself, and takes a child's fields unformatted.
        streamWrite: redactText,
        logMethod(parameters, method) {
          const safe = parameters.map((parameter: unknown) =>
            typeof parameter === 'string'
              ? redactText(parameter)
              : parameter instanceof Error
                ? { err: parameter }
                : parameter,
          );
          // @NOTE pino types the arguments as its own overloads; only strings were replaced by strings and errors by their wrapper.
          Reflect.apply(method, this, safe as Parameters<typeof method>);
        },
      },
    },
    options.destination ?? pino.destination({ dest: 1, sync: false }),
  );
}

/** A child whose lines carry `name`. */
export function namedLogger(logger: Logger, name: string): Logger {
  return logger.child({ name });
}

function redactFields(fields: object): Record<string, unknown> {
  const redacted = redactValue(fields);
  return typeof redacted === 'object' && redacted !== null ? { ...redacted } : {};
}
