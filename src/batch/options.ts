import type { ExtractOptions } from '../extract.js';
import type { FeatureEntry } from '../features/feature-info.js';
import type { Layout } from '../features/feature.js';

/** What an item may ask of `extract`: everything that can be written down. */
export type CutOptions = Pick<
  ExtractOptions,
  | 'out'
  | 'last'
  | 'select'
  | 'hookType'
  | 'embedding'
  | 'allowFolded'
  | 'flattenSequential'
  | 'featureConcat'
  | 'inputShapes'
  | 'mode'
  | 'rewrite'
  | 'keepOutputs'
  | 'order'
  | 'outMap'
  | 'outputFmt'
  | 'weights'
  | 'align'
  | 'noClobber'
  | 'follow'
  | 'strict'
  | 'strictExternal'
  | 'limits'
> & {
  /** Use this FeatureInfo instead of recovering one. */
  readonly features?: readonly FeatureEntry[];
  readonly includeHead?: boolean;
  /** Run the model and the cut on the same input before the cut appears, and refuse it where they differ. */
  readonly verify?: boolean;
};

/** `options` of `featx.config.json`, as its schema describes them. */
export interface ConfigOptions {
  readonly out?: readonly number[];
  readonly last?: number;
  readonly select?: readonly { readonly module?: string; readonly tensor?: string; readonly node?: string }[];
  readonly features?: string | readonly FeatureEntry[];
  readonly hook_type?: 'forward' | 'forward_pre';
  readonly embedding?: boolean;
  readonly input_shape?: { readonly [input: string]: readonly number[] };
  readonly include_head?: boolean;
  readonly allow_folded?: boolean;
  readonly flatten_sequential?: boolean;
  readonly feature_concat?: boolean;
  readonly mode?: 'dict' | 'list' | 'hook';
  readonly rewrite?: boolean;
  readonly keep_outputs?: boolean;
  readonly order?: 'out' | 'exec';
  readonly out_map?: readonly string[];
  readonly output_fmt?: Layout;
  readonly weights?: ExtractOptions['weights'];
  readonly align?: number;
  readonly follow?: boolean;
  readonly strict?: boolean;
  readonly strict_external?: boolean;
  readonly verify?: boolean;
  readonly limits?: {
    readonly index_bytes?: number;
    readonly depth?: number;
    readonly name_bytes?: number;
    readonly functions?: number;
    readonly calls?: number;
    readonly expansion?: number;
  };
}

/** The options of a config in the library's spelling; `features` already read. */
export function cutOptions(config: ConfigOptions, features: readonly FeatureEntry[] | undefined): CutOptions {
  const { select, input_shape: shapes, limits } = config;
  return {
    out: config.out,
    last: config.last,
    hookType: config.hook_type,
    embedding: config.embedding,
    allowFolded: config.allow_folded,
    flattenSequential: config.flatten_sequential,
    featureConcat: config.feature_concat,
    includeHead: config.include_head,
    mode: config.mode,
    rewrite: config.rewrite,
    keepOutputs: config.keep_outputs,
    order: config.order,
    outMap: config.out_map,
    outputFmt: config.output_fmt,
    weights: config.weights,
    align: config.align,
    follow: config.follow,
    strict: config.strict,
    strictExternal: config.strict_external,
    features,
    verify: config.verify,
    select: select?.map(({ module, tensor, node }) =>
      module !== undefined
        ? { by: 'module', name: module }
        : tensor !== undefined
          ? { by: 'tensor', name: tensor }
          : { by: 'node', name: node ?? '' },
    ),
    inputShapes: shapes === undefined ? undefined : new Map(Object.entries(shapes)),
    limits:
      limits === undefined
        ? undefined
        : defined({
            indexBytes: limits.index_bytes,
            depth: limits.depth,
            nameBytes: limits.name_bytes,
            functions: limits.functions,
            calls: limits.calls,
            expansion: limits.expansion,
          }),
  };
}

/** Options as one JSON text: the same for the same request, whatever the order of keys. */
export function encodeOptions(options: CutOptions): string {
  const { inputShapes, ...plain } = options;
  return canonicalJson({
    ...plain,
    inputShapes: inputShapes === undefined ? undefined : [...inputShapes].sort(([a], [b]) => (a < b ? -1 : 1)),
  });
}

/** What `extract` takes, and whether its result is to be verified. */
export function decodeOptions(text: string): { readonly extract: ExtractOptions; readonly verify: boolean } {
  const {
    inputShapes,
    features,
    includeHead,
    verify = false,
    ...plain
  } = JSON.parse(text) as Omit<CutOptions, 'inputShapes'> & {
    readonly inputShapes?: readonly (readonly [string, readonly number[]])[];
  };
  return {
    extract: {
      ...plain,
      inputShapes: inputShapes === undefined ? undefined : new Map(inputShapes),
      resolve: { explicit: features, includeHead },
    },
    verify,
  };
}

/** JSON with sorted keys and without undefined values. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

/** A record without its undefined values. */
export function defined<T extends object>(record: T): Partial<T> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Partial<T>;
}
