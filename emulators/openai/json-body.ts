import type { Request } from 'express';
import { badRequest, refuse } from './errors.js';
import { checkBody, type BodySchema } from './schema-check.js';

const MAX_BODY_BYTES = 1024 * 1024;

async function readText(request: Request): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    sizeBytes += buffer.length;
    if (sizeBytes <= MAX_BODY_BYTES) chunks.push(buffer);
  }
  if (sizeBytes > MAX_BODY_BYTES) throw refuse(413, 'Request body is too large.');
  return Buffer.concat(chunks).toString('utf8');
}

/** The JSON body of a request, checked against its schema. Throws OpenAI's 400 for anything else. */
export async function readJsonBody(request: Request, schema: BodySchema): Promise<unknown> {
  const text = await readText(request);
  if (text === '') throw badRequest('The request body must not be empty.');
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw badRequest(
      'We could not parse the JSON body of your request. (HINT: This likely means you aren’t using your HTTP library ' +
        'correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)',
    );
  }
  const problem = checkBody(body, schema);
  if (problem !== undefined) throw badRequest(problem);
  return body;
}
