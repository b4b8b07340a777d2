import express, { type ErrorRequestHandler, type Request, type Response, type Router } from 'express';
import { z } from 'zod';
import type { EmulatorClock } from './clock.js';
import type { VendorEmulator } from './emulator.js';
import { faultRequest, type FaultInjector } from './faults.js';
import type { RequestLog } from './request-log.js';
import { commonSettings, type VendorSettings } from './settings.js';

export interface ControlDependencies {
  clock: EmulatorClock;
  faults: FaultInjector;
  requests: RequestLog;
  vendors: readonly VendorEmulator[];
  settingsOf: (provider: string) => VendorSettings;
  reset: () => void;
}

const clockRequest = z
  .strictObject({ advance_seconds: z.number().min(0).optional(), job_seconds: z.number().positive().optional() })
  .refine((body) => body.advance_seconds !== undefined || body.job_seconds !== undefined, {
    message: 'needs advance_seconds or job_seconds',
  });

const forceRequest = z.strictObject({
  state: z.string().min(1),
  error: z
    .strictObject({
      code: z.string().optional(),
      message: z.string().optional(),
      param: z.string().nullable().optional(),
    })
    .optional(),
});

const providerField = z.looseObject({ provider: z.string() });

function refuse(response: Response, message: string, status = 400): void {
  response.status(status).json({ error: { message } });
}

/** Parses a control body; answers 400 with every problem and returns undefined when it is wrong. */
function bodyOf<T>(schema: z.ZodType<T>, request: Request, response: Response): T | undefined {
  const body: unknown = request.body;
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  refuse(
    response,
    parsed.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`).join('; '),
  );
  return undefined;
}

/** The control calls under `/__emulator`: no credential, never logged, never hit by a fault. */
export function createControlRouter(dependencies: ControlDependencies): Router {
  const { clock, faults, requests, vendors, settingsOf } = dependencies;
  const router = express.Router();
  router.use(express.json({ limit: '1mb', type: () => true }));

  const names = vendors.map((vendor) => vendor.provider);
  const vendorNamed = (name: string, response: Response): VendorEmulator | undefined => {
    const vendor = vendors.find((candidate) => candidate.provider === name);
    if (vendor === undefined) refuse(response, `provider: "${name}" is none of ${names.join(', ')}`);
    return vendor;
  };
  /** The `provider` of the query; null when it is wrong (and answered). */
  const queriedProvider = (request: Request, response: Response): string | undefined | null => {
    const provider = new URL(request.originalUrl, 'http://emulator').searchParams.get('provider') ?? undefined;
    if (provider === undefined) return undefined;
    return vendorNamed(provider, response) === undefined ? null : provider;
  };
  const settleAll = () => {
    for (const vendor of vendors) vendor.settle();
  };

  router.get('/requests', (request, response) => {
    const provider = queriedProvider(request, response);
    if (provider === null) return;
    response.json({
      data: requests.list(provider),
    });
  });
  router.delete('/requests', (_request, response) => {
    requests.clear();
    response.json({ data: [] });
  });
  router.get('/jobs', (request, response) => {
    const provider = queriedProvider(request, response);
    if (provider === null) return;
    settleAll();
    response.json({
      data: vendors
        .filter((vendor) => provider === undefined || vendor.provider === provider)
        .flatMap((vendor) => vendor.jobs()),
    });
  });
  // A wildcard, because some vendors' job ids are paths.
  router.post('/jobs/*id', (request, response) => {
    const forced = bodyOf(forceRequest, request, response);
    if (forced === undefined) return;
    const segments = request.params['id'];
    const id = Array.isArray(segments) ? segments.join('/') : String(segments);
    for (const vendor of vendors) {
      vendor.settle();
      const job = vendor.forceJob(id, forced);
      if (job !== null) {
        response.json(job);
        return;
      }
    }
    refuse(response, `no job ${id} exists at any vendor`, 404);
  });
  router.post('/faults', (request, response) => {
    const fault = bodyOf(faultRequest, request, response);
    if (fault === undefined) return;
    const vendor = vendorNamed(fault.provider, response);
    if (vendor === undefined) return;
    if (fault.operation !== undefined && !vendor.operations.includes(fault.operation)) {
      refuse(response, `operation: "${fault.operation}" is none of ${vendor.operations.join(', ')}`);
      return;
    }
    faults.add(fault);
    response.json(fault);
  });
  router.delete('/faults', (_request, response) => {
    faults.clear();
    response.json({ data: [] });
  });
  router.post('/settings', (request, response) => {
    const named = bodyOf(providerField, request, response);
    if (named === undefined) return;
    const vendor = vendorNamed(named.provider, response);
    if (vendor === undefined) return;
    const schema = z.strictObject({ provider: z.string(), ...commonSettings, ...vendor.ownSettings });
    const checked = bodyOf(schema, request, response);
    if (checked === undefined) return;
    const { provider, ...changes } = checked;
    vendor.settle();
    settingsOf(provider).merge(changes);
    response.json({ provider, ...settingsOf(provider).read() });
  });
  router.post('/clock', (request, response) => {
    const change = bodyOf(clockRequest, request, response);
    if (change === undefined) return;
    if (change.job_seconds !== undefined) clock.setJobSeconds(change.job_seconds);
    if (change.advance_seconds !== undefined) {
      settleAll();
      clock.advance(change.advance_seconds);
      settleAll();
    }
    response.json({ now: new Date(clock.nowMs()).toISOString(), job_seconds: clock.jobSeconds() });
  });
  router.post('/reset', (_request, response) => {
    dependencies.reset();
    response.json({});
  });
  router.use((request, response) => {
    refuse(response, `no control call ${request.method} ${request.originalUrl}`, 404);
  });
  const unreadableBody: ErrorRequestHandler = (error: unknown, _request, response, next) => {
    if (response.headersSent) next(error);
    else refuse(response, error instanceof SyntaxError ? `body: not JSON: ${error.message}` : 'unreadable body');
  };
  router.use(unreadableBody);
  return router;
}
