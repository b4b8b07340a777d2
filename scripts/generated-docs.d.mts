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
}

export function generatedPages(tables: GeneratedFrom): readonly GeneratedPage[];
