import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../domain/temporal-names.js';
import type { Logger } from '../observability/logger.js';

const NAMES = Object.values(SEARCH_ATTRIBUTES);
const KEYWORD = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
const DEADLINE_MS = 3_000;
const LOOK_AGAIN_AFTER_MS = 60_000;

/** Whether jobs can carry our search attributes. */
export interface SearchAttributes {
  /** Registers those that are missing, where the cluster allows it; where not, logs the commands and goes on without. */
  register(): Promise<void>;
  /** Whether all are known. A yes is kept; a no is looked up again after a minute; an unreachable server is a no. */
  available(): Promise<boolean>;
}

export function createSearchAttributes(client: Client, namespace: string, logger: Logger): SearchAttributes {
  let known = false;
  let lookedAtMs = 0;

  const missing = async (): Promise<readonly string[]> => {
    const { customAttributes } = await client.withDeadline(Date.now() + DEADLINE_MS, () =>
      client.connection.operatorService.listSearchAttributes({ namespace }),
    );
    const registered: Readonly<Record<string, unknown>> = customAttributes;
    return NAMES.filter((name) => registered[name] === undefined);
  };

  return {
    async register() {
      let names: readonly string[] = NAMES;
      try {
        names = await missing();
        if (names.length > 0) {
          await client.withDeadline(Date.now() + 2 * DEADLINE_MS, () =>
            client.connection.operatorService.addSearchAttributes({
              namespace,
              searchAttributes: Object.fromEntries(names.map((name) => [name, KEYWORD])),
            }),
          );
        }
        known = true;
      } catch (error) {
        const commands = names.map(
          (name) => `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type Keyword`,
        );
        logger.warn({ err: error, commands }, 'search attributes are not registered; jobs run without them');
      }
    },
    async available() {
      if (known) return true;
      if (Date.now() - lookedAtMs < LOOK_AGAIN_AFTER_MS) return false;
      lookedAtMs = Date.now();
      try {
        known = (await missing()).length === 0;
      } catch {
        // Unreachable or refused: a job without attributes is better than no job.
      }
      return known;
    },
  };
}
