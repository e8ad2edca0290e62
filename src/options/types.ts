import type { PLANNING } from './cutting.js';
import type { CommandName, OptionSet } from './row.js';
import type { SELECTING } from './selecting.js';
import type { OptionTable } from './table.js';

/** The kind that an option has in a set. */
type KindIn<R, S extends string> = R extends { readonly per: { readonly [K in S]: { readonly kind: infer K } } }
  ? K
  : R extends { readonly kind: infer K }
    ? K
    : never;

/** What a kind holds in the library. */
type Held<K> = K extends { readonly accepts: (value: unknown) => value is infer T } ? T : never;

/** The options of a set that are values of their own and whose type the table knows. */
type FlatKeys<S extends OptionSet> = {
  [K in keyof OptionTable]: S extends OptionTable[K]['in'][number]
    ? K extends `${string}.${string}`
      ? never
      : unknown extends Held<KindIn<OptionTable[K], S>>
        ? never
        : K
    : never;
}[keyof OptionTable];

/** `limits` of `limits.depth`, for the options of a set. */
type ObjectKeys<S extends OptionSet> = {
  [K in keyof OptionTable]: S extends OptionTable[K]['in'][number]
    ? K extends `${infer O}.${string}`
      ? O
      : never
    : never;
}[keyof OptionTable];

/** The options that stand in one object: `limits`, `image`. */
export type OptionsIn<O extends string> = {
  readonly [K in keyof OptionTable as K extends `${O}.${infer N}` ? N : never]?: Held<OptionTable[K]['kind']>;
};

/** The options that a function takes, as the table has them; what only a program can give, it adds itself. */
export type OptionsOf<S extends OptionSet> = {
  readonly [K in keyof OptionTable as K extends FlatKeys<S> ? K : never]?: Held<KindIn<OptionTable[K], S>>;
} & { readonly [O in ObjectKeys<S>]?: OptionsIn<O> };

/** Every key that a set takes. */
export type OptionKeys<S extends OptionSet> =
  | {
      [K in keyof OptionTable]: S extends OptionTable[K]['in'][number]
        ? K extends `${string}.${string}`
          ? never
          : K
        : never;
    }[keyof OptionTable]
  | ObjectKeys<S>;

/** The values of some rows. */
type Values<R> = { readonly [K in keyof R]?: R[K] extends { readonly kind: infer K } ? Held<K> : never };

/** Which features are wanted, as `selectFeatures` takes it. */
export type SelectOptions = Omit<
  Values<typeof SELECTING>,
  'features' | 'inputShapes' | 'includeHead' | 'module' | 'tensor' | 'node'
> &
  Pick<Values<typeof PLANNING>, 'featureConcat'>;

/** An option's form in a config. */
type ConfigValue<R> = R extends { readonly kind: infer K }
  ? K extends { readonly fromConfig: (value: infer C) => unknown }
    ? C
    : Held<K>
  : never;

type ConfigKey<K extends keyof OptionTable> = OptionTable[K] extends { readonly config: infer C extends string }
  ? C
  : never;

/** `options` of a config, in its spelling. */
export type ConfigOptions = {
  readonly [K in keyof OptionTable as 'cut' extends OptionTable[K]['in'][number]
    ? ConfigKey<K> extends `${string}.${string}`
      ? never
      : ConfigKey<K>
    : never]?: ConfigValue<OptionTable[K]>;
} & { readonly [O in 'limits' | 'pixels']?: ConfigObject<O> };

/** The keys of one object in `options` of a config. */
type ConfigObject<O extends string> = {
  readonly [K in keyof OptionTable as 'cut' extends OptionTable[K]['in'][number]
    ? ConfigKey<K> extends `${O}.${infer N}`
      ? N
      : never
    : never]?: ConfigValue<OptionTable[K]>;
};

/** What a config says at its top, beside its models and their options. */
export type ConfigSettings = {
  readonly [K in keyof OptionTable as 'batch' extends OptionTable[K]['in'][number]
    ? ConfigKey<K>
    : never]?: ConfigValue<OptionTable[K]>;
};

type CommandsOf<R> = R extends { readonly cli: readonly (infer C)[] }
  ? C
  : R extends { readonly in: readonly (infer S)[] }
    ? S | ('cut' extends S ? 'batch' : never)
    : never;

type FlagKeys<C extends CommandName> = {
  [K in keyof OptionTable]: C extends CommandsOf<OptionTable[K]>
    ? OptionTable[K] extends { readonly selects: string }
      ? never
      : OptionTable[K] extends
            | { readonly flag: string }
            | { readonly per: { readonly [N in C]: { readonly flag: string } } }
        ? K
        : never
    : never;
}[keyof OptionTable];

/** What the flags of a command say, in the library's spelling; `features` is the path of a file. */
export type FlagsOf<C extends CommandName> = {
  readonly [K in FlagKeys<C> as K extends `${string}.${string}` ? never : K]?: K extends 'features'
    ? string
    : Held<KindIn<OptionTable[K], C>>;
} & {
  readonly [O in FlagKeys<C> extends infer K ? (K extends `${infer O}.${string}` ? O : never) : never]?: OptionsIn<O>;
} & Pick<SelectOptions, 'select'>;
