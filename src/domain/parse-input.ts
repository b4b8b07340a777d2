import type { z } from 'zod';
import { GatewayError } from './errors.js';

type Issue = z.core.$ZodIssue;

/**
 * Input of a caller through a schema. The first problem becomes 400 with `param` as a path (`method.dpo.hyperparameters.beta`,
 * `integrations[0].wandb`): `unknown_parameter` for keys the schema does not have, else `invalid_request`. The message never
 * repeats the value, which may be a secret.
 */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  pathPrefix: readonly string[] = [],
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw issue === undefined ? new GatewayError('invalid_request', 'Invalid request.') : issueToError(issue, pathPrefix);
}

function issueToError(issue: Issue, pathPrefix: readonly string[]): GatewayError {
  const deepest = descend(issue);
  const path = [...pathPrefix, ...deepest.path];
  if (deepest.issue.code === 'unrecognized_keys') {
    const param = formatPath([...path, deepest.issue.keys[0] ?? '']);
    return new GatewayError('unknown_parameter', `Unknown parameter: '${param}'.`, { param });
  }
  const param = formatPath(path);
  const options = param === '' ? {} : { param };
  if (
    deepest.issue.code === 'invalid_type' &&
    deepest.issue.input === undefined &&
    /received undefined/.test(deepest.issue.message)
  ) {
    return new GatewayError('invalid_request', `Missing required parameter: '${param}'.`, options);
  }
  const what = param === '' ? 'Invalid value' : `Invalid value for '${param}'`;
  return new GatewayError('invalid_request', `${what}: ${describe(deepest.issue)}.`, options);
}

/** A union reports one issue with those of each option inside; where one option got further than the others, its issue says more. */
function descend(issue: Issue): { issue: Issue; path: PropertyKey[] } {
  if (issue.code !== 'invalid_union') return { issue, path: issue.path };
  const deeper = issue.errors
    .map((option) => option[0])
    .filter((option) => option !== undefined)
    .filter((option) => option.path.length > 0 || option.code === 'unrecognized_keys');
  const [only, ...others] = deeper;
  if (only === undefined || others.length > 0) return { issue, path: issue.path };
  const inner = descend(only);
  return { issue: inner.issue, path: [...issue.path, ...inner.path] };
}

function describe(issue: Issue): string {
  if (issue.code !== 'invalid_union') return lowerFirst(issue.message.replace(/^Invalid input: /, ''));
  const options = issue.errors.map((option) => option[0]).filter((option) => option !== undefined);
  const described = new Set(options.map((option) => describe(option)));
  return described.size === 0 ? 'no allowed form matches' : [...described].join(', or ');
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}
