/** The Temporal command line that `tools/temporal/go.mod` pins; its server is 1.31.2. */
export const PINNED_TEMPORAL_VERSION = '1.8.2';

/** What `temporal --version` prints first: `temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)`. */
export const parseTemporalVersion = (output: string): string | undefined =>
  /\btemporal version v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)/.exec(output)?.[1];

/** Whether `version` is `minimum` or later. A pre-release comes before its release. */
export const isAtLeast = (version: string, minimum: string): boolean => {
  const left = split(version);
  const right = split(minimum);
  for (let index = 0; index < 3; index += 1) {
    const difference = (left.numbers[index] ?? 0) - (right.numbers[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return left.isPrerelease ? right.isPrerelease : true;
};

const split = (version: string): { readonly numbers: readonly number[]; readonly isPrerelease: boolean } => {
  const [numbers = ''] = version.split('-');
  return { numbers: numbers.split('.').map(Number), isPrerelease: version.includes('-') };
};
