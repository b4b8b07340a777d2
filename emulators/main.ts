import express from 'express';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClock } from './core/clock.js';
import { createContentStore } from './core/content.js';
import { createControlRouter } from './core/control.js';
import type { EmulatorContext } from './core/emulator.js';
import { createHandlerFactory } from './core/exchange.js';
import { createFaultInjector } from './core/faults.js';
import { createStateStore } from './core/journal.js';
import { createRequestLog } from './core/request-log.js';
import { createVendorSettings, type VendorSettings } from './core/settings.js';
import { vendorEmulators } from './registry.js';

export interface EmulatorsOptions {
  /** Address to listen on; 127.0.0.1 when absent. */
  host?: string;
  /** 0 takes a free port. */
  port: number;
  /** Where state and uploaded contents survive a restart; without it they live as long as the process. */
  journalDirectory?: string;
  /** `info` writes one JSON line per call to stderr; `silent` (the default) nothing. */
  logLevel?: 'silent' | 'info';
}

export interface RunningEmulators {
  /** `http://host:port`, without a slash at the end. */
  url: string;
  /** Stops listening and cuts open connections. State stays in the journal directory. */
  close(): Promise<void>;
}

/**
 * Starts all vendor emulators on one port, told apart by path prefix, with their control calls under `/__emulator`.
 * Rejects when the address cannot be listened on or the journal directory cannot be written.
 */
export async function startEmulators(options: EmulatorsOptions): Promise<RunningEmulators> {
  const temporaryDirectory =
    options.journalDirectory === undefined ? mkdtempSync(join(tmpdir(), 'tunesmith-emulators-')) : undefined;
  const store = createStateStore(options.journalDirectory);
  const content = createContentStore(join(options.journalDirectory ?? temporaryDirectory ?? '.', 'content'));
  const clock = createClock(store);
  const faults = createFaultInjector(store);
  const requests = createRequestLog(store, clock);
  const settings = new Map<string, VendorSettings>();
  const settingsOf = (provider: string): VendorSettings => {
    const known = settings.get(provider) ?? createVendorSettings(store, provider);
    settings.set(provider, known);
    return known;
  };
  const context: EmulatorContext = {
    clock,
    store,
    content,
    settingsOf,
    handlerFor: createHandlerFactory(faults, requests),
  };
  const vendors = vendorEmulators.map((create) => create(context));
  const reset = () => {
    for (const vendor of vendors) {
      vendor.reset();
      settingsOf(vendor.provider).clear();
    }
    content.clear();
    faults.clear();
    requests.clear();
    clock.reset();
  };

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  if (options.logLevel === 'info') {
    app.use((request, response, next) => {
      const { method, originalUrl } = request;
      response.once('close', () => {
        process.stderr.write(`${JSON.stringify({ method, path: originalUrl, status: response.statusCode })}\n`);
      });
      next();
    });
  }
  app.use('/__emulator', createControlRouter({ clock, faults, requests, vendors, settingsOf, reset }));
  for (const vendor of vendors) {
    for (const [prefix, router] of Object.entries(vendor.routers)) app.use(prefix, router);
  }

  const server = createServer(app);
  // A file of gigabytes over a slow line takes longer than Node's five minutes.
  server.requestTimeout = 0;
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const host = options.host ?? '127.0.0.1';
  const removeTemporary = () => {
    if (temporaryDirectory !== undefined) rmSync(temporaryDirectory, { recursive: true, force: true });
  };
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, host, resolve);
    });
  } catch (error) {
    store.close();
    removeTemporary();
    throw error;
  }
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
      for (const socket of sockets) socket.destroy();
    });
    store.close();
    removeTemporary();
  };
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${String(port)}`,
    close: () => (closing ??= close()),
  };
}
