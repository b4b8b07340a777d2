import type { Request } from 'express';

/** A named segment of the path, decoded. */
export function pathParameter(request: Request, name: string): string {
  const value = request.params[name];
  return Array.isArray(value) ? value.join('/') : (value ?? '');
}
