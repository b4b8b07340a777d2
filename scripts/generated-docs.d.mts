import type { PreflightOptions, PreflightReport } from '../src/datasets/index.js';
import type { PreflightReportObject } from '../src/http/schemas/preflight-report.js';

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
  readonly datasets: {
    /** `docs/datasets.md` as it stands. */
    readonly page: string;
    readonly checks: Readonly<Record<string, { readonly severity: string; readonly description: string }>>;
    readonly checkExamples: readonly {
      readonly check: string;
      readonly content: { readonly lines: readonly string[] } | { readonly hex: string };
      readonly line: number | null;
      readonly message: string;
    }[];
    readonly output: DatasetsOutput;
  };
}

export interface DatasetsOutput {
  readonly text: string;
  readonly json: string;
}

export interface PreflightFunctions {
  readonly preflight: (
    content: AsyncIterable<Uint8Array>,
    options: PreflightOptions,
    signal: AbortSignal,
  ) => Promise<PreflightReport>;
  readonly preflightReportText: (
    report: PreflightReport,
    options: { readonly name: string; readonly color: boolean },
  ) => string;
  readonly preflightReportObject: (report: PreflightReport) => PreflightReportObject;
}

export function datasetsOutput(page: string, functions: PreflightFunctions): Promise<DatasetsOutput>;
export function generatedPages(tables: GeneratedFrom): readonly GeneratedPage[];
