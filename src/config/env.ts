/** The variables as given, without those that are empty: `docker compose` passes unset ones as "". */
export type Environment = Readonly<Record<string, string>>;

/** The only reader of `process.env`. */
export function readEnvironment(): Environment {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''),
  );
}
