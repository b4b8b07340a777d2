import type { Request } from 'express';
import { badRequest } from './errors.js';
import { pythonText } from './schema-check.js';

/** The query as sent: Express's simple parser does not read brackets, and lists here filter by `metadata[key]`. */
export function queryOf(request: Request): URLSearchParams {
  return new URL(request.originalUrl, 'http://emulator').searchParams;
}

/** `limit` of a list call. Throws OpenAI's 400 outside 1 to `maximum`. */
export function limitOf(query: URLSearchParams, fallback: number, maximum: number): number {
  const text = query.get('limit');
  if (text === null) return fallback;
  const limit = Number(text);
  if (text.trim() === '' || !Number.isInteger(limit))
    throw badRequest(`${pythonText(text)} is not of type 'integer' - 'limit'`);
  if (limit < 1) throw badRequest(`${text} is less than the minimum of 1 - 'limit'`);
  if (limit > maximum) throw badRequest(`${text} is greater than the maximum of ${String(maximum)} - 'limit'`);
  return limit;
}

export interface Page<T> {
  data: T[];
  hasMore: boolean;
}

/** The page after the item with id `after`; an id that is not in the list is the caller's error. */
export function pageOf<T extends { id: string }>(items: readonly T[], query: URLSearchParams, limit: number): Page<T> {
  const after = query.get('after');
  let start = 0;
  if (after !== null && after !== '') {
    start = items.findIndex((item) => item.id === after) + 1;
    if (start === 0) throw badRequest(`Invalid 'after': no object with id ${pythonText(after)}.`, 'after');
  }
  return { data: items.slice(start, start + limit), hasMore: start + limit < items.length };
}
