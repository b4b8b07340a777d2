import type { Caller } from './auth.ts';

declare global {
  namespace Express {
    interface Request {
      /** Ours, `req_…`; on the answer as `x-request-id` and in every log line. */
      requestId: string;
      /** Set by authentication; read it through `requireCaller`. */
      caller?: Caller;
    }
  }
}
