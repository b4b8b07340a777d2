import type { RequestHandler, Router } from 'express';
import { z } from 'zod';
import type { VirtualKeys } from '../../vault/virtual-keys.js';
import { requireCaller } from '../auth.js';
import { jsonBody } from '../json-body.js';
import { optionalText, parseQuery } from '../query.js';
import { createRouter, pathParameter } from '../route-table.js';
import { virtualKeyObject } from '../schemas/virtual-key-object.js';
import { parseCreateVirtualKey, parseUpdateVirtualKey } from '../schemas/virtual-keys.js';

const wholeNumber = (max: number): z.ZodType<number | undefined> =>
  optionalText()
    .refine(
      (text) => text === undefined || (/^\d{1,6}$/.test(text) && Number(text) <= max),
      `expected an integer between 0 and ${max}`,
    )
    .transform((text) => (text === undefined ? undefined : Number(text)));
const MAX_PAGE_SIZE = 1_000;
const listQuery = z.strictObject({
  current_page: wholeNumber(999_999),
  page_size: wholeNumber(MAX_PAGE_SIZE),
  workspace_id: optionalText(),
});
const deleteQuery = z.strictObject({
  force: optionalText()
    .refine((text) => text === undefined || text === 'true' || text === 'false', "expected 'true' or 'false'")
    .transform((text) => text === 'true'),
});

/** `/v1/virtual-keys`: Portkey's admin shape, scoped to the caller's workspace. Credentials go in and never come out. */
export function createVirtualKeysRouter(dependencies: { readonly virtualKeys: VirtualKeys }): Router {
  const { virtualKeys } = dependencies;
  const update: RequestHandler = async (request, response) => {
    const { workspaceId } = requireCaller(request);
    const row = await virtualKeys.update(
      workspaceId,
      pathParameter(request, 'slug'),
      parseUpdateVirtualKey(request.body, workspaceId),
    );
    response.json({ success: true, ...virtualKeyObject(row) });
  };
  return createRouter({
    '/v1/virtual-keys': {
      GET: async (request, response) => {
        const { workspaceId } = requireCaller(request);
        const query = parseQuery(request, listQuery);
        const otherWorkspace = query.workspace_id !== undefined && query.workspace_id !== workspaceId;
        const rows = otherWorkspace ? [] : await virtualKeys.list(workspaceId);
        const pageSize = query.page_size ?? rows.length;
        const start = (query.current_page ?? 0) * pageSize;
        response.json({
          object: 'list',
          total: rows.length,
          data: rows.slice(start, start + pageSize).map(virtualKeyObject),
        });
      },
      POST: [
        jsonBody(),
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          const row = await virtualKeys.create(workspaceId, parseCreateVirtualKey(request.body, workspaceId));
          response.json({ success: true, data: { slug: row.slug }, ...virtualKeyObject(row) });
        },
      ],
    },
    '/v1/virtual-keys/:slug': {
      GET: async (request, response) => {
        const { workspaceId } = requireCaller(request);
        response.json(virtualKeyObject(await virtualKeys.get(workspaceId, pathParameter(request, 'slug'))));
      },
      PUT: [jsonBody(), update],
      PATCH: [jsonBody(), update],
      DELETE: async (request, response) => {
        const { workspaceId } = requireCaller(request);
        const slug = pathParameter(request, 'slug');
        await virtualKeys.delete(workspaceId, slug, { force: parseQuery(request, deleteQuery).force });
        response.json({ success: true, object: 'virtual-key', slug, deleted: true });
      },
    },
  });
}
