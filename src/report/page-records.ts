import type { PreprocessingRecord } from './run-records.js';

/** A feature of a page. */
export interface PageFeatureRecord {
  readonly index: number | null;
  readonly group?: string;
  readonly module: string | null;
  readonly tensor: string;
  readonly output: string;
  readonly channels: number;
  /** Present for attention, of which channels are heads: what the first token pays, or what each token receives. */
  readonly attention?: 'paid' | 'received';
  /** Cells of the map of the first entry. */
  readonly height: number;
  readonly width: number;
  readonly reduction: number | null;
  /** Channels with one value in every cell of every entry; null if there is one cell in all. */
  readonly silent_channels: number | null;
  readonly zeros_share: number;
  readonly min: number;
  readonly max: number;
  /** Shares of the variance of the first entry that its first components explain; empty for what has one cell. */
  readonly explained: readonly number[];
}

/** What other normalisations do to the last feature. */
export interface InputCheckRecord {
  readonly name: string;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** null if the last feature has one cell in all, of which nothing can be said. */
  readonly silent_channels: number | null;
  readonly is_used: boolean;
}

/** What `report` returns. */
export interface PageReport {
  readonly schema: 1;
  readonly command: 'report';
  readonly featx: string;
  readonly model: string | null;
  readonly output: string;
  readonly provider: string;
  readonly inputs: readonly string[];
  readonly entries: number;
  readonly preprocessing: readonly PreprocessingRecord[];
  readonly features: readonly PageFeatureRecord[];
  /** null unless it was asked for. */
  readonly input_check: readonly InputCheckRecord[] | null;
  readonly size_bytes: number;
  /** Pictures that were written as files. */
  readonly pictures: readonly string[];
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
}

/** What `page` returns. */
export interface ModelPageReport {
  readonly schema: 1;
  readonly command: 'page';
  readonly output: string;
  /** Origins that the page may fetch from; without one it fetches nothing. */
  readonly connect: readonly string[];
  readonly size_bytes: number;
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
}
