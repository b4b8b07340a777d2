import ora from 'ora';

/** What a start shows while it works. */
export interface Progress {
  /** One line that moves on a terminal; elsewhere a line now and then. */
  step(text: string): void;
  done(text: string): void;
  stop(): void;
}

const QUIET_MS = 10_000;

export interface ProgressStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Whether a line can be drawn over: not on a terminal that says it has no columns, where ora would clear lines without end. */
const canMove = ({ isTTY, columns = 0 }: ProgressStream): boolean => isTTY === true && columns > 0;

/** On standard error, so that standard output has the result alone. */
export function createProgress(stream: ProgressStream = process.stderr): Progress {
  if (canMove(stream)) {
    const spinner = ora({ stream, discardStdin: false });
    return {
      step: (text) => {
        if (spinner.isSpinning) spinner.text = text;
        else spinner.start(text);
      },
      done: (text) => {
        spinner.succeed(text);
      },
      stop: () => {
        spinner.stop();
      },
    };
  }
  let lastMs = 0;
  let lastKind = '';
  return {
    step(text) {
      // The first word tells one step from another; the rest counts seconds.
      const kind = text.replace(/[\d.]+/g, '');
      if (kind === lastKind && Date.now() - lastMs < QUIET_MS) return;
      lastKind = kind;
      lastMs = Date.now();
      stream.write(`tunesmith: ${text}\n`);
    },
    done: (text) => {
      stream.write(`tunesmith: ${text}\n`);
    },
    stop: () => undefined,
  };
}
