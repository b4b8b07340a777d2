import type { Request, RequestHandler, Router } from 'express';
import type { Readable } from 'node:stream';
import type { z } from 'zod';
import type { EmulatorClock } from './clock.js';
import type { ContentStore } from './content.js';
import type { StateStore } from './journal.js';
import type { VendorSettings } from './settings.js';

/** What an operation answers. Nothing is sent until the exchange decides to: a fault may swallow it. */
export interface Reply {
  status: number;
  headers?: Record<string, string>;
  /** JSON unless `stream` is there; absent means an empty body. */
  json?: unknown;
  stream?: Readable;
}

/** Thrown by an operation to answer with the vendor's error. */
export class ReplyError extends Error {
  readonly reply: Reply;
  constructor(reply: Reply) {
    super(`answered with ${String(reply.status)}`);
    this.reply = reply;
  }
}

/** How a vendor presents itself on the wire, whatever the operation. */
export interface VendorDialect {
  provider: string;
  /** The credential as it arrived, or null; only its fingerprint is kept. */
  credentialOf(request: Request): string | null;
  /** The vendor's own body for a status that a fault asks for. */
  errorBody(status: number): unknown;
  /** Headers of every answer, errors included. */
  headers(request: Request, startedMs: number): Record<string, string>;
}

export type Operation = (request: Request) => Reply | Promise<Reply>;

/** Makes the route handler of one operation, with the request log and the faults around it. */
export type OperationHandler = (operation: string | null, run: Operation) => RequestHandler;

/** What a vendor's emulator is built from. */
export interface EmulatorContext {
  clock: EmulatorClock;
  store: StateStore;
  content: ContentStore;
  settingsOf(provider: string): VendorSettings;
  handlerFor(dialect: VendorDialect): OperationHandler;
}

/** One row of `GET /__emulator/jobs`. */
export interface EmulatedJob {
  provider: string;
  id: string;
  state: string;
  /** The body (or parameters) of the create call. */
  created_with: unknown;
  created_at: number;
  credential: string;
}

export interface ForcedState {
  state: string;
  error?: { code?: string | undefined; message?: string | undefined; param?: string | null | undefined } | undefined;
}

/** One vendor: its routes by path prefix, and what the control calls need from it. */
export interface VendorEmulator {
  provider: string;
  /** Routers by path prefix, for example `/openai/v1`. */
  routers: Record<string, Router>;
  /** The vendor's own settings beyond the common ones. */
  ownSettings: z.ZodRawShape;
  /** Operation names, so that a fault with a misspelt one is refused. */
  operations: readonly string[];
  jobs(): EmulatedJob[];
  /** Null when there is no such job. */
  forceJob(id: string, forced: ForcedState): EmulatedJob | null;
  /** Brings stored state up to the clock; called before the clock or a setting changes. */
  settle(): void;
  reset(): void;
}

export type CreateVendorEmulator = (context: EmulatorContext) => VendorEmulator;
