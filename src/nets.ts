import type { TensorValue } from './onnx/tensor-value.js';
import { FeatxError, UsageError } from './errors.js';
import { abortable, checkOptions, shown } from './options/check.js';
import type { HookType } from './features/feature.js';
import { FeatureInfo } from './features/feature-info.js';
import type { PlannedOutput } from './rewrite/plan.js';
import { stepsOf } from './rewrite/steps.js';
import type { Mode } from './rewrite/tap.js';
import type { OptionsOf } from './options/types.js';
import { inWordsOf, reworded } from './options/reworded.js';
import { pictureTaker } from './preprocessing/input.js';
import { settledFor, warningsOf } from './preprocessing/settle.js';
import { FeatureRunner, type RunnerOptions } from './runner.js';
import { picturesAs, type PictureOptions } from './tensors/in-memory.js';
import { readOneArray } from './tensors/array-file.js';
import { readProjection } from './tensors/projection.js';

/**
 * timm's feature networks over an ONNX model.
 * @see https://github.com/huggingface/pytorch-image-models/blob/v0.9.2/timm/models/_features.py
 */
export type NetOptions = OptionsOf<'net'> & Pick<RunnerOptions, 'fileSystem' | 'resolve'>;

/** What the hooks of a network see, and how it gives them. */
export type HookNetOptions = OptionsOf<'hookNet'> & Pick<RunnerOptions, 'fileSystem' | 'resolve'>;

/** Values of the inputs by name; one tensor will do for a model with one input. */
export type Feeds = TensorValue | ReadonlyMap<string, TensorValue> | Readonly<Record<string, TensorValue>>;

/** What the three nets share: a runner, and the FeatureInfo of what it returns. */
abstract class FeatureNet implements AsyncDisposable {
  private readonly noticed: string[] = [];

  protected constructor(
    protected readonly runner: FeatureRunner,
    /** All features of the model; `outIndices` are those of this net. */
    readonly featureInfo: FeatureInfo,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Inputs that the net needs, with dtype and shape. */
  get inputs(): FeatureRunner['session']['inputs'] {
    return this.runner.session.inputs;
  }

  /** Where it runs; measured on the first batch where that is not the CPU. */
  get provider(): string {
    return this.runner.session.provider;
  }

  get warnings(): readonly string[] {
    return [...new Set([...this.runner.warnings, ...this.noticed])];
  }

  /**
   * Pictures (jpg, png, webp; paths or bytes) as one tensor for an input, prepared as the options say, else as the
   * model, files beside it or its graph do; `warnings` tell if nothing says how.
   * @param pictures several for an input with a batch axis
   * @throws UsageError if a picture cannot be an input of the net; ModelFormatError; PolicyError; IoError; RuntimeError
   * without sharp
   */
  async readPictures(
    pictures: readonly (string | Uint8Array)[],
    { input: wanted, fileSystem, limits, ...options }: PictureOptions & { readonly input?: string } = {},
  ): Promise<TensorValue> {
    const takers = this.inputs.filter(pictureTaker(this.inputs));
    const input = wanted === undefined ? takers[0] : this.inputs.find(({ name }) => name === wanted);
    if (input === undefined || (wanted === undefined && takers.length > 1))
      throw new UsageError(
        wanted === undefined
          ? `${takers.length === 0 ? 'no input takes' : 'several inputs take'} pictures`
          : `the net has no input '${wanted}'`,
        { code: 'FEATX_USAGE_FEEDS', hint: `its inputs are ${this.inputs.map(({ name }) => name).join(', ')}` },
      );
    const { runner } = this;
    const found = await runner.recipeFor(input, options.preprocess, fileSystem);
    const isGiven = runner.givenInputs?.has(input.name) === true;
    const to = settledFor(input, found, { numbers: runner.inputShapes.get(input.name), isGiven }, options);
    this.noticed.push(...warningsOf(found, to));
    return picturesAs(pictures, input.name, to, { fileSystem, limits });
  }

  protected run(feeds: Feeds): Promise<ReadonlyMap<string, TensorValue>> {
    return abortable(this.signal, async () => this.runner.run(feedMap(feeds, this.runner)));
  }

  /** Closes the session. */
  dispose(): Promise<void> {
    return this.runner.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

async function openNet(
  source: string | Uint8Array,
  mode: Mode,
  rewrite: boolean,
  options: NetOptions & { readonly hookType?: HookType },
): Promise<[FeatureRunner, FeatureInfo, AbortSignal | undefined]> {
  const { signal } = options;
  const set = mode === 'hook' ? 'hookNet' : 'net';
  try {
    return [...(await abortable(signal, () => openRunner(source, mode, rewrite, options))), signal];
  } catch (error) {
    throw error instanceof FeatxError ? reworded(error, (text) => inWordsOf(text, set)) : error;
  }
}

async function openRunner(
  source: string | Uint8Array,
  mode: Mode,
  rewrite: boolean,
  { outIndices, outMap, outputFmt, ...options }: NetOptions & { readonly hookType?: HookType },
): Promise<[FeatureRunner, FeatureInfo]> {
  const { fileSystem } = options;
  const projection = await readProjection(options.project, (path) => readOneArray(path, { fileSystem }));
  const runner = await FeatureRunner.open(source, {
    ...options,
    ...(typeof outIndices === 'number' ? { last: outIndices } : outIndices === undefined ? {} : { out: outIndices }),
    plan: {
      mode,
      rewrite,
      outMap: outMap?.map(String) ?? null,
      outputFmt: outputFmt ?? null,
      steps: stepsOf({ ...options, projection }),
    },
  });
  try {
    const indices = runner.features.flatMap(({ tap }) => (tap.group == null ? (tap.index ?? []) : []));
    return [runner, FeatureInfo.fromFeatures(runner.resolution.features, indices)];
  } catch (error) {
    await runner.close();
    throw error;
  }
}

function feedMap(feeds: Feeds, { session: { inputs } }: FeatureRunner): ReadonlyMap<string, TensorValue> {
  const given: unknown = feeds;
  if (typeof given !== 'object' || given === null || Array.isArray(given) || ArrayBuffer.isView(given))
    throw new UsageError(`the inputs are ${shown(given)}, not a tensor or tensors by the names of inputs`, {
      code: 'FEATX_USAGE_FEEDS',
      hint: `give { dtype, shape, data }, or a Map from ${inputs.map(({ name }) => `'${name}'`).join(', ')} to such`,
    });
  if (feeds instanceof Map) return feeds;
  if (!isOneTensor(feeds)) return new Map(Object.entries(feeds));
  const [only] = inputs;
  if (inputs.length !== 1)
    throw new UsageError(
      `the model has ${inputs.length} inputs (${inputs.map(({ name }) => name).join(', ')}), and one tensor was given`,
      { hint: 'give a Map from input name to tensor' },
    );
  return new Map([[only.name, feeds]]);
}

function isOneTensor(feeds: Exclude<Feeds, Map<string, TensorValue>>): feeds is TensorValue {
  return (
    typeof (feeds as Partial<TensorValue>).dtype === 'string' && Array.isArray((feeds as Partial<TensorValue>).shape)
  );
}

/**
 * Features as a Map: `str(index)`, or the names of `outMap`, to tensors, in the order of `outIndices`. The graph is
 * pruned to what they need.
 */
export class FeatureDictNet extends FeatureNet {
  /** @throws UsageError, ResolveError, ModelFormatError, PolicyError, IoError, RuntimeError */
  static async create(source: string | Uint8Array, options: NetOptions = {}): Promise<FeatureDictNet> {
    checkOptions('net', options);
    return new FeatureDictNet(...(await openNet(source, 'dict', true, options)));
  }

  forward(feeds: Feeds): Promise<ReadonlyMap<string, TensorValue>> {
    return this.run(feeds);
  }
}

/** Features as an array, in the order of `outIndices`. The graph is pruned to what they need. */
export class FeatureListNet extends FeatureNet {
  /** @throws UsageError, ResolveError, ModelFormatError, PolicyError, IoError, RuntimeError */
  static async create(source: string | Uint8Array, options: Omit<NetOptions, 'outMap'> = {}): Promise<FeatureListNet> {
    checkOptions('net', options);
    return new FeatureListNet(...(await openNet(source, 'list', true, options)));
  }

  async forward(feeds: Feeds): Promise<readonly TensorValue[]> {
    return [...(await this.run(feeds)).values()];
  }
}

/** Features tapped from the untouched network by hooks. */
export class FeatureHookNet extends FeatureNet {
  private constructor(
    runner: FeatureRunner,
    featureInfo: FeatureInfo,
    signal: AbortSignal | undefined,
    private readonly returnDict: boolean,
    /** What the value of an output is called. */
    private readonly keys: ReadonlyMap<string, string>,
  ) {
    super(runner, featureInfo, signal);
  }

  /** @throws UsageError, ResolveError, ModelFormatError, PolicyError, IoError, RuntimeError */
  static async create(source: string | Uint8Array, given: HookNetOptions = {}): Promise<FeatureHookNet> {
    checkOptions('hookNet', given);
    const { returnDict = false, defaultHookType, ...options } = given;
    const { noRewrite = !options.flattenSequential, ...others } = options;
    if (noRewrite && options.flattenSequential)
      throw new UsageError(
        'flattenSequential renames modules for a rewritten network; noRewrite keeps the network as it is',
        { hint: 'set noRewrite: false, or leave out flattenSequential' },
      );
    const [runner, info, signal] = await openNet(source, 'hook', !noRewrite, { ...others, hookType: defaultHookType });
    return new FeatureHookNet(runner, info, signal, returnDict, keysOf(runner.features, others.outMap !== undefined));
  }

  async forward(feeds: Feeds): Promise<ReadonlyMap<string, TensorValue> | readonly TensorValue[]> {
    const values = await this.run(feeds);
    if (!this.returnDict) return [...values.values()];
    return new Map([...values].map(([output, value]) => [this.keys.get(output) ?? output, value]));
  }
}

/** What the values of outputs are called: as their modules are, where they have one that no other before has. */
function keysOf(features: readonly PlannedOutput[], isMapped: boolean): ReadonlyMap<string, string> {
  const taken = new Set<string>();
  return new Map(
    features.map(({ tap: { module }, output }) => {
      const key = isMapped || module === null || taken.has(module) ? output : module;
      taken.add(key);
      return [output, key];
    }),
  );
}
