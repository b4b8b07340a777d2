import type { RequestHandler } from 'express';
import { GatewayError } from '../domain/errors.js';

/**
 * Where, under `/v1/`, OpenAI's routes that are not ours begin.
 * @see https://platform.openai.com/docs/api-reference (OpenAPI document of 2026-05-31, read 2026-11-23)
 */
const OPENAI_ROUTES: readonly string[] = [
  'assistants',
  'audio',
  'batches',
  'certificates',
  'chat',
  'chatkit',
  'completions',
  'containers',
  'conversations',
  'embeddings',
  'evals',
  'fine_tuning/alpha',
  'fine_tuning/checkpoints',
  'images',
  'models',
  'moderations',
  'organization',
  'projects',
  'realtime',
  'responses',
  'skills',
  'threads',
  'vector_stores',
  'videos',
];

/** What no router took: 404 `not_supported` for OpenAI's other routes, 404 `not_found` for anything else. */
export const notOurs: RequestHandler = (request) => {
  const url = `${request.method} ${request.path}`;
  if (OPENAI_ROUTES.some((route) => `${request.path}/`.startsWith(`/v1/${route}/`))) {
    throw new GatewayError(
      'not_supported',
      `${url} is part of OpenAI's API but not of this gateway, which serves files, uploads and fine-tuning jobs. The documentation lists its routes.`,
    );
  }
  throw new GatewayError('not_found', `Invalid URL (${url})`);
};
