import { z } from 'zod';
import { startEmulators } from '../../emulators/main.js';

const jobSchema = z.looseObject({
  id: z.string(),
  state: z.string(),
  created_with: z.looseObject({ metadata: z.record(z.string(), z.string()).nullish() }),
  credential: z.string(),
});
const requestSchema = z.looseObject({
  operation: z.string().nullable(),
  method: z.string(),
  path: z.string(),
  credential: z.string().nullable(),
  status: z.number().nullable(),
});

export type EmulatedJob = z.output<typeof jobSchema>;
export type EmulatedRequest = z.output<typeof requestSchema>;

export interface Fault {
  readonly kind: 'execute-then-timeout' | 'timeout' | 'reset' | 'status' | 'malformed' | 'html' | 'slow';
  readonly operation?: string;
  readonly times?: number;
  readonly delay_ms?: number;
  readonly status?: number;
  readonly body?: unknown;
  readonly retry_after?: number;
}

/** The control calls of the emulators, for the OpenAI emulator. */
export interface EmulatorControl {
  readonly url: string;
  /** Base address for a virtual key. */
  readonly openAiUrl: string;
  jobs(): Promise<readonly EmulatedJob[]>;
  requests(): Promise<readonly EmulatedRequest[]>;
  /** Calls of one operation, in order. */
  calls(operation: string): Promise<readonly EmulatedRequest[]>;
  forgetRequests(): Promise<void>;
  fault(fault: Fault): Promise<void>;
  clearFaults(): Promise<void>;
  settings(settings: Readonly<Record<string, unknown>>): Promise<void>;
  jobSeconds(seconds: number): Promise<void>;
  force(jobId: string, state: string, error?: { readonly code?: string; readonly message?: string }): Promise<void>;
  reset(): Promise<void>;
}

/** Speaks to emulators that run already. */
export function controlEmulators(url: string): EmulatorControl {
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${url}/__emulator/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  };
  const act = async (method: string, path: string, body?: unknown): Promise<void> => {
    await call(method, path, body);
  };
  const requests = async (): Promise<readonly EmulatedRequest[]> =>
    z.object({ data: z.array(requestSchema) }).parse(await call('GET', 'requests?provider=openai')).data;
  return {
    url,
    openAiUrl: `${url}/openai/v1`,
    jobs: async () => z.object({ data: z.array(jobSchema) }).parse(await call('GET', 'jobs?provider=openai')).data,
    requests,
    calls: async (operation) => (await requests()).filter((request) => request.operation === operation),
    forgetRequests: () => act('DELETE', 'requests'),
    fault: (fault) => act('POST', 'faults', { provider: 'openai', ...fault }),
    clearFaults: () => act('DELETE', 'faults'),
    settings: (settings) => act('POST', 'settings', { provider: 'openai', ...settings }),
    jobSeconds: (seconds) => act('POST', 'clock', { job_seconds: seconds }),
    force: (jobId, state, error) => act('POST', `jobs/${jobId}`, { state, ...(error === undefined ? {} : { error }) }),
    reset: () => act('POST', 'reset'),
  };
}

/** Emulators of one test file's own, in this process: what it does to them, no other file sees. */
export async function startOwnEmulators(): Promise<EmulatorControl & { close(): Promise<void> }> {
  const emulators = await startEmulators({ host: '127.0.0.1', port: 0 });
  return { ...controlEmulators(emulators.url), close: () => emulators.close() };
}
