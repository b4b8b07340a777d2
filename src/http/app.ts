import express, { type Express, type Router } from 'express';
import helmet from 'helmet';
import { GatewayError } from '../domain/errors.js';
import type { Logger } from '../observability/logger.js';
import { createAuthentication, type GatewayKeys } from './auth.js';
import { createErrorHandler } from './error-handler.js';
import { checkProtocol } from './check-protocol.js';
import { notOurs } from './not-ours.js';
import { createRequestLog } from './request-log.js';

export interface AppDependencies {
  readonly logger: Logger;
  readonly gatewayKeys: GatewayKeys;
  /** Without a key: health, and later the docs and the page. */
  readonly publicRouters: readonly Router[];
  /** All under `/v1`, behind a gateway key. Made by `createRouter`, so that they answer 405 and OPTIONS themselves. */
  readonly routers: readonly Router[];
  /** True once the process stops: new calls are 503 `shutting_down`, and connections are not kept. */
  readonly isStopping?: () => boolean;
}

/** The front door. It holds no state; everything it serves comes from the routers. */
export function createApp(dependencies: AppDependencies): Express {
  const { logger, gatewayKeys, publicRouters, routers, isStopping } = dependencies;
  const app = express();
  app.disable('etag');
  app.set('case sensitive routing', true);
  // Routes read the query themselves (`query.ts`); nothing else is to interpret brackets in names.
  app.set('query parser', false);
  app.use(createRequestLog(logger));
  app.use(
    helmet({
      contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    }),
  );
  app.use(checkProtocol);
  for (const router of publicRouters) app.use(router);
  app.use((request, response, next) => {
    response.set('Cache-Control', 'no-store');
    if (/%00/.test(request.originalUrl))
      throw new GatewayError('invalid_request', 'The URL contains the character U+0000.');
    if (isStopping?.() === true) {
      response.set('Connection', 'close');
      throw new GatewayError('shutting_down', 'The gateway is stopping. Try again.', { retryAfterMs: 1_000 });
    }
    next();
  });
  app.use('/v1', createAuthentication(gatewayKeys));
  for (const router of routers) app.use(router);
  app.use(notOurs);
  app.use(createErrorHandler(logger));
  return app;
}
