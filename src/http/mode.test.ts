import express from 'express';
import type { Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayError } from '../domain/errors.js';
import { clientModeHeader, requireManagedMode } from './mode.js';

let server: Server;
let url: string;
/** What the last request is asked, in place of a handler. */
let body: unknown;

beforeAll(async () => {
  const app = express();
  app.get('/', (request, response) => {
    try {
      requireManagedMode(request, body);
      response.json({ header: clientModeHeader(request) });
    } catch (error) {
      response.json(
        error instanceof GatewayError
          ? { code: error.code, param: error.param, message: error.message }
          : { bug: String(error) },
      );
    }
  });
  url = await new Promise((resolve) => {
    server = app.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}` : '');
    });
  });
});
afterAll(() => server.close());

const ask = async (headers: Record<string, string>, requestBody?: unknown): Promise<unknown> => {
  body = requestBody;
  return (await fetch(url, { headers })).json();
};

describe('the mode rule', () => {
  test.each<Record<string, string>>([
    {},
    { 'x-portkey-provider': ' ' },
    { 'x-portkey-config': '{}' },
    { 'x-portkey-config': '{"provider":"","targets":null,"cache":{"mode":"simple"}}' },
    { 'x-portkey-aws-s3-bucket': 'bucket', 'x-portkey-custom-host': 'https://example.com' },
  ])('%j is managed mode, with portkey_options too', async (headers) => {
    expect(await ask(headers, { portkey_options: { 'x-portkey-virtual-key': 'sandbox' } })).toEqual({ header: null });
  });

  test.each<Record<string, string>>([
    { 'x-portkey-provider': '@openai-prod' },
    { 'X-Portkey-Virtual-Key': 'slug' },
    { 'x-portkey-config': '{"virtual_key":"slug"}' },
    { 'x-portkey-config': '{"virtualKey":"slug"}' },
  ])('%j is client mode: refused alone, ambiguous with portkey_options', async (headers) => {
    expect(await ask(headers, { model: 'm' })).toMatchObject({ code: 'unsupported_operation' });
    expect(await ask(headers, { portkey_options: null })).toMatchObject({ code: 'unsupported_operation' });
    expect(await ask(headers, { portkey_options: {} })).toMatchObject({
      code: 'ambiguous_mode',
      param: 'portkey_options',
    });
  });

  test('a config that is no JSON is refused without being repeated', async () => {
    const answer = await ask({ 'x-portkey-config': '{"api_key":"canary' });
    expect(answer).toMatchObject({ code: 'invalid_request', param: 'x-portkey-config' });
    expect(JSON.stringify(answer)).not.toContain('canary');
  });
});
