import { z } from 'zod';
import { parseInput } from '../../domain/parse-input.js';
import type { DatasetRole, MethodType } from '../../domain/job.js';

/** What a caller says of the job that a file is for. */
export interface FilePreflightRequest {
  readonly method: MethodType;
  readonly role: DatasetRole;
  readonly model?: string;
  readonly epochs?: number;
  readonly exactTokens: boolean;
}

const body = z.strictObject({
  method: z.enum(['supervised', 'dpo', 'reinforcement']).nullish(),
  role: z.enum(['training', 'validation']).nullish(),
  model: z.string().max(1024).nullish(),
  // As a create has it; with 'auto' the provider decides, and the total is not known.
  n_epochs: z.union([z.literal('auto'), z.int().min(1).max(50)]).nullish(),
  exact_tokens: z.boolean().nullish(),
});

/** The body of `POST /v1/files/{id}/preflight`. 400 `unknown_parameter` or `invalid_request`, with `param`. */
export function parsePreflightRequest(value: unknown): FilePreflightRequest {
  const { method, role, model, n_epochs: epochs, exact_tokens: exactTokens } = parseInput(body, value);
  return {
    method: method ?? 'supervised',
    role: role ?? 'training',
    ...(typeof model === 'string' && model !== '' ? { model } : {}),
    ...(typeof epochs === 'number' ? { epochs } : {}),
    exactTokens: exactTokens ?? false,
  };
}
