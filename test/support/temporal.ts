import { startEmbeddedTemporal, type EmbeddedTemporal } from '../../src/temporal/embedded.js';
import { findTemporal } from '../../src/temporal/finder.js';

/**
 * A Temporal server of its own for a test file, as an operator has one: without our search attributes. Found, or made,
 * by the product's finder. Stop it.
 */
export async function startTestTemporal(home: string): Promise<EmbeddedTemporal> {
  const messages: string[] = [];
  const log = (message: string): void => {
    messages.push(message);
  };
  try {
    const { path } = await findTemporal({ environment: process.env, log });
    return await startEmbeddedTemporal({ executable: path, home, log });
  } catch (error) {
    throw new Error(`Temporal for the tests did not start:\n${messages.join('\n')}`, { cause: error });
  }
}
