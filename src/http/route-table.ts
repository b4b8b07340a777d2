import { Router, type Request, type RequestHandler } from 'express';
import { GatewayError } from '../domain/errors.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
/** Path → method → what handles it, in order. */
export type RouteTable = Readonly<
  Record<string, Readonly<Partial<Record<Method, RequestHandler | readonly RequestHandler[]>>>>
>;

/**
 * A router from a table. A path of the table with another method is 405 with `Allow`; OPTIONS answers 204 with it; HEAD is
 * served by GET, as Express does. Every router of the app is made here, so that no path is left without these.
 */
export function createRouter(routes: RouteTable): Router {
  const router = Router({ caseSensitive: true });
  for (const [path, handlers] of Object.entries(routes)) {
    const route = router.route(path);
    for (const [method, given] of Object.entries(handlers)) {
      const chain = typeof given === 'function' ? [given] : [...given];
      if (method === 'GET') route.get(...chain);
      else if (method === 'POST') route.post(...chain);
      else if (method === 'PUT') route.put(...chain);
      else if (method === 'PATCH') route.patch(...chain);
      else route.delete(...chain);
    }
    const allow = allowHeader(Object.keys(handlers));
    route.all((request, response) => {
      if (request.method === 'OPTIONS') {
        response.set('Allow', allow).status(204).end();
        return;
      }
      throw new GatewayError(
        'method_not_allowed',
        `Not allowed to ${request.method} on ${request.path}. (Allowed: ${allow})`,
        {
          headers: { Allow: allow },
        },
      );
    });
  }
  return router;
}

/** A parameter of the path, decoded; empty where the route has none of that name. */
export function pathParameter(request: Request, name: string): string {
  const value = request.params[name];
  return typeof value === 'string' ? value : '';
}

function allowHeader(methods: readonly string[]): string {
  const withHead = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  return [...withHead, 'OPTIONS'].join(', ');
}
