/** What is counted over the rows of a file. */
export interface RowTally {
  readonly roles: Record<string, number>;
  imageRowCount: number;
  imageCount: number;
}

export function createRowTally(): RowTally {
  return { roles: {}, imageRowCount: 0, imageCount: 0 };
}

export function countRole(tally: RowTally, role: string): void {
  tally.roles[role] = (tally.roles[role] ?? 0) + 1;
}
