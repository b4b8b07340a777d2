import type { SweepReport } from '../src/domain/activities.js';
import type { ActivityDependencies } from './dependencies.js';
import { whileHeartbeating } from './heartbeat.js';

/** One sweep of the file store, begun anew at each attempt; see `src/files/sweep.ts`. */
export function sweepFiles(dependencies: Pick<ActivityDependencies, 'sweepFiles'>): Promise<SweepReport> {
  return whileHeartbeating((signal) => dependencies.sweepFiles(signal));
}
