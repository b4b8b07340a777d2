import type { DatasetRole, MethodType } from '../../domain/job.js';
import type { CheckName } from '../checks.js';
import type { PreflightOptions } from '../preflight-report.js';

/** The smallest file that a check finds something in, and what it says. `docs/datasets.md` is made of them. */
export interface CheckExample {
  readonly check: CheckName;
  readonly method: MethodType;
  readonly role: DatasetRole;
  /** Text, joined by newlines; or bytes in hexadecimal where the file is not text. */
  readonly content: { readonly lines: readonly string[] } | { readonly hex: string };
  /** Limits made small for the example. */
  readonly options?: Pick<PreflightOptions, 'minimumRows' | 'maximumRows' | 'maxRowBytes' | 'model'>;
  /** Where it is found; null for the file as a whole. */
  readonly line: number | null;
  readonly message: string;
}

type Rest = Partial<Pick<CheckExample, 'method' | 'role' | 'options'>>;

/** An example of a file of text. */
export function textExample(
  check: CheckName,
  line: number | null,
  message: string,
  lines: readonly string[],
  rest: Rest = {},
): CheckExample {
  return contentExample(check, line, message, { lines }, rest);
}

/** An example with any content; a training file for the supervised method where `rest` does not say otherwise. */
export function contentExample(
  check: CheckName,
  line: number | null,
  message: string,
  content: CheckExample['content'],
  rest: Rest = {},
): CheckExample {
  return {
    check,
    method: 'supervised',
    role: 'training',
    options: { minimumRows: 1 },
    content,
    line,
    message,
    ...rest,
  };
}
