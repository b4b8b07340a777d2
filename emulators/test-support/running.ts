import OpenAI, { toFile } from 'openai';
import { z } from 'zod';
import { startEmulators, type EmulatorsOptions } from '../main.js';

/** Starts emulators on a free port with the official client and the control calls at hand. */
export async function startForTest(options: Partial<EmulatorsOptions> = {}) {
  const running = await startEmulators({ port: 0, ...options });
  return { ...running, ...clientsOf(running.url) };
}

/** Official client and control calls for emulators at `url`. */
export function clientsOf(url: string) {
  const clientFor = (apiKey: string) => new OpenAI({ apiKey, baseURL: `${url}/openai/v1`, maxRetries: 0 });
  const control = async (path: string, body?: unknown, method = body === undefined ? 'GET' : 'POST') => {
    const response = await fetch(`${url}/__emulator${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    return { status: response.status, ...readAnswer(await response.text()) };
  };
  return {
    clientFor,
    client: clientFor('sk-emulated-key-of-the-first-organization'),
    control,
    advance: (seconds: number) => control('/clock', { advance_seconds: seconds }),
  };
}

/** A supervised chat dataset. */
export function chatRows(count: number): string {
  return Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `What is ${String(index)} plus one?` },
        { role: 'assistant', content: String(index + 1) },
      ],
    }),
  ).join('\n');
}

export async function uploadRows(client: OpenAI, rows: string, name = 'train.jsonl') {
  return client.files.create({ file: await toFile(Buffer.from(rows), name), purpose: 'fine-tune' });
}

/** A number in the free-form `data` of an event. */
export function numberIn(data: unknown, name: string): number {
  return z.number().parse(z.record(z.string(), z.unknown()).parse(data)[name]);
}

const record = z.record(z.string(), z.unknown());

/** A JSON answer: whole, and the rows of its `data` and its `error` where it has them. */
export function readAnswer(text: string) {
  const body = record.parse(JSON.parse(text));
  return {
    body,
    rows: z.array(record).catch([]).parse(body['data']),
    error: record.catch({}).parse(body['error']),
  };
}
