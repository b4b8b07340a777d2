import type { Selectable } from 'kysely';
import type { Database } from './database.js';
import type { WorkspacesTable } from './schema.js';

export type WorkspaceRow = Selectable<WorkspacesTable>;

/** The workspace of an installation that knows only one. */
export const DEFAULT_WORKSPACE_ID = 'ws_default';

export interface WorkspaceRepository {
  /** Makes the workspace where there is none of that id. */
  ensure(workspace: { readonly id: string; readonly name: string }): Promise<void>;
  get(id: string): Promise<WorkspaceRow | null>;
}

/** Workspaces: the owner of every other row. */
export function createWorkspaceRepository(database: Database): WorkspaceRepository {
  return {
    async ensure(workspace) {
      await database
        .insertInto('workspaces')
        .values(workspace)
        .onConflict((conflict) => conflict.column('id').doNothing())
        .execute();
    },
    async get(id) {
      return (await database.selectFrom('workspaces').selectAll().where('id', '=', id).executeTakeFirst()) ?? null;
    },
  };
}
