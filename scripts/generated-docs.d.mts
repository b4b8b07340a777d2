export interface GeneratedPage {
  readonly path: string;
  readonly content: string;
}

export interface GeneratedFrom {
  readonly variables: Readonly<Record<string, { readonly default: string; readonly meaning: string }>>;
  readonly secrets: Readonly<Record<string, string>>;
  readonly errorCodes: Readonly<
    Record<
      string,
      {
        readonly status: number;
        readonly type: string;
        readonly retryable: boolean;
        readonly meaning: string;
        readonly wireCode?: string | null;
      }
    >
  >;
  readonly checks: Readonly<Record<string, { readonly severity: string; readonly description: string }>>;
  readonly checkExamples: readonly {
    readonly check: string;
    readonly content: { readonly lines: readonly string[] } | { readonly hex: string };
    readonly line: number | null;
    readonly message: string;
  }[];
  /** `docs/datasets.md` as it stands: only its table is generated. */
  readonly datasets: string;
}

export function generatedPages(tables: GeneratedFrom): readonly GeneratedPage[];
