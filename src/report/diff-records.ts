/** A weight that is not the same in both models. */
export interface WeightDifference {
  readonly name: string;
  /** `changed`: other values; `reshaped`: other dims or dtype; `renamed`: the same values under `was`. */
  readonly state: 'changed' | 'reshaped' | 'renamed' | 'only_a' | 'only_b';
  readonly was?: string;
  /** Of values that changed: length of the difference over the length of A's; absent where they are no plain floats. */
  readonly relative_error?: number | null;
}

/** A feature of both models at one index. */
export interface FeatureInfoDifference {
  readonly index: number;
  readonly a: FeatureInfoSide | null;
  readonly b: FeatureInfoSide | null;
  readonly equal: boolean;
}

/** What a FeatureInfo says of a feature. */
export interface FeatureInfoSide {
  readonly module: string | null;
  readonly num_chs: number | null;
  readonly reduction: number | null;
  readonly tensor: string | null;
}

/** How far a feature of one model is from that of the other, over all entries. */
export interface FeatureDistance {
  readonly a: string;
  readonly b: string;
  readonly cosine: number | null;
  /** Linear centred kernel alignment, cells as samples; of what has one cell, entries. */
  readonly cka: number | null;
  /** Length of the difference over the length of A's. */
  readonly relative_error: number | null;
  readonly largest_difference: number | null;
  /** Why numbers are missing. */
  readonly reason?: string;
}

/** What `diff` returns. */
export interface DiffReport {
  readonly schema: 1;
  readonly command: 'diff';
  readonly featx: string;
  readonly a: string | null;
  readonly b: string | null;
  /** Whether nodes, weights and FeatureInfo are the same; of features, whether all are bit for bit. */
  readonly equal: boolean;
  /** What is the same and what differs, in words. */
  readonly says: readonly string[];
  readonly nodes: {
    readonly a: number;
    readonly b: number;
    /** Whether nodes, attributes and connections are the same, whatever nodes and tensors are called. */
    readonly same_graph: boolean;
    /** Operators of which there are not as many in both. */
    readonly operators: { readonly [operator: string]: readonly [a: number, b: number] };
    /** Tensors that nodes of one model make and those of the other do not; the first of them. */
    readonly only_a: readonly string[];
    readonly only_b: readonly string[];
  };
  readonly weights: {
    readonly a: number;
    readonly b: number;
    readonly equal: number;
    readonly differences: readonly WeightDifference[];
  };
  readonly feature_info: readonly FeatureInfoDifference[];
  /** null unless inputs were given. */
  readonly features: readonly FeatureDistance[] | null;
  /** The first feature that differs by more than rounding does; null if none does. */
  readonly parts_at: string | null;
  readonly entries: number;
  readonly output: string | null;
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
}
