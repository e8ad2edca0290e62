import { RuntimeError, UsageError } from './errors.js';
import type { StoredInfo } from './features/stored-info.js';
import { assertWired, openPart, type Chain } from './chain.js';
import { modelRecipe } from './model-recipe.js';
import { hasTensor, isInitializer, viewGraph, type GraphView } from './onnx/graph.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { declaredTypes } from './onnx/types.js';
import { mapOf } from './options/by-name.js';
import type { OptionsOf } from './options/types.js';
import { option } from './options/words.js';
import type { Preprocessing } from './preprocessing/recipe.js';
import type { AddedAttribute } from './rewrite/edit.js';
import { openComputation, type RuntimeSession, type SessionPort } from './runtime/open-session.js';
import { randomNodes, seedsFor, type NumberOf, type RandomParts } from './runtime/seeds.js';
import { tensorsAsTheyAre } from './runtime/session-plan.js';
import type { OptimizationLevel } from './runtime/session.js';
import { isTensor, type Scalar } from './shapes/info.js';
import type { NominalInputs } from './shapes/nominal.js';
import { inferWhole, type WholeInference } from './shapes/whole.js';
import { batchSizeOf, firstBatch } from './tensors/batches.js';
import { planInputs } from './tensors/input-plan.js';
import { randomTensor } from './tensors/random.js';
import type { FileSystem } from './wire/fs.js';

type Tensors = ReadonlyMap<string, TensorValue>;

/** How both models are run. */
export type VerifyRunOptions = Omit<OptionsOf<'verify'>, 'map' | 'tolerance'> & { readonly fileSystem?: FileSystem };

/**
 * The inputs of a cut that the model makes or calls otherwise, and the tensors of the model that they are.
 * @throws UsageError
 */
export function enteringTensors(
  model: GraphView,
  cut: GraphView,
  info: StoredInfo | null,
): ReadonlyMap<string, string> {
  const stored = new Map(info?.inputs?.map(({ input, tensor }) => [input, tensor]));
  const pixels = new Set(info?.preprocess?.map(({ input }) => input));
  const entering = new Map<string, string>();
  const unknown: string[] = [];
  for (const name of cut.inputs.keys()) {
    if (isInitializer(cut, name) || pixels.has(name)) continue;
    const tensor = stored.get(name) ?? name;
    if (!hasTensor(model, tensor)) unknown.push(name);
    else if (name !== tensor || !model.inputs.has(tensor) || isInitializer(model, tensor)) entering.set(name, tensor);
  }
  if (unknown.length === 0) return entering;
  throw new UsageError(`the cut has inputs that the model does not have: ${unknown.join(', ')}`, {
    code: 'FEATX_USAGE_PAIR',
  });
}

/** What is run of a model and of its cut. */
export interface Compared {
  readonly model: GraphView;
  readonly cut: GraphView;
  readonly tensors: readonly string[];
  readonly outputs: readonly string[];
  /** Tensors of the model by the inputs of the cut that take them. */
  readonly entering: ReadonlyMap<string, string>;
  /** Sizes that the cut was given, which the model gets too. */
  readonly sizes?: StoredInfo['dims'];
  /** Inputs of the cut that take pixels, which it prepares itself. */
  readonly pixels?: StoredInfo['preprocess'];
  /** What outputs of the cut are called in the model: the first tensor, where it joins several. */
  readonly names: ReadonlyMap<string, string>;
  /** Whether inputs of true and false are the other way round. */
  readonly isOtherWay?: boolean;
  /** Parts that are run in the place of the cut, which is then the model itself. */
  readonly chain?: Chain;
}

/**
 * A model and its cut, ready to be run on the same inputs: each only as far as the compared tensors need it, with the
 * same seeds for what is random.
 */
export class Sides {
  readonly warnings: string[] = [];
  /** How pictures became inputs. */
  preprocessing: ReadonlyMap<string, Preprocessing> = new Map();
  private feeds: Map<string, TensorValue> | null = null;
  /** Pixels by the inputs of the cut that take them. */
  private readonly raw = new Map<string, TensorValue>();

  private constructor(
    private readonly compared: Compared,
    private readonly options: VerifyRunOptions,
    private readonly inputs: NominalInputs,
    private readonly seeds: { readonly model: readonly AddedAttribute[]; readonly cut: readonly AddedAttribute[] },
    /** What is random in the model. */
    readonly random: RandomParts,
  ) {}

  static async of(compared: Compared, options: VerifyRunOptions): Promise<Sides> {
    const { model, cut, names } = compared;
    const inference = await inferWhole(model, options.inputShapes);
    const shapes = new Map(inference.inputs.shapes);
    for (const { input, axis, size } of compared.sizes ?? []) {
      const shape = shapes.get(input);
      if (shape !== undefined) shapes.set(input, shape.with(axis, size));
    }
    const random = randomNodes(model, compared.tensors, numbersOf(inference));
    const inCut = randomNodes(cut, compared.outputs, numbersOf(await inferWhole(cut)));
    const seeds = {
      model: seedsFor(random.seeded, (name) => name),
      cut: seedsFor(inCut.seeded, (name) => names.get(name) ?? name),
    };
    return new Sides(compared, options, { ...inference.inputs, shapes }, seeds, random);
  }

  /** Whether parts are run in the place of a cut. */
  get isChain(): boolean {
    return this.compared.chain !== undefined;
  }

  /** What the model and the cut give, one after the other. */
  async run(level: OptimizationLevel): Promise<{ readonly reference: Tensors; readonly result: Tensors }> {
    const { cut, outputs, entering, chain } = this.compared;
    const reference = await this.reference(level);
    if (chain !== undefined)
      return { reference, result: await this.guarded(() => this.chained(chain, new Map(this.feeds), level)) };
    const given = new Map([...(this.feeds ?? []), ...reference]);
    return this.guarded(async () => {
      await using session = await this.open(cut, outputs, this.seeds.cut, level);
      const feeds = new Map<string, TensorValue>();
      for (const port of session.inputs)
        feeds.set(
          port.name,
          this.raw.get(port.name) ?? given.get(entering.get(port.name) ?? port.name) ?? this.randomFeed(port),
        );
      return { reference, result: await session.run(feeds, outputs) };
    });
  }

  /** What the parts give, one after the other, each from what was fed and what those before it gave. */
  private async chained(chain: Chain, known: Map<string, TensorValue>, level: OptimizationLevel): Promise<Tensors> {
    for (const [index, part] of chain.manifest.parts.entries()) {
      await using opened = await openPart(chain, part, this.options.fileSystem);
      const view = viewGraph(opened.model);
      assertWired(chain, index, view, this.compared.model);
      const { seeded } = randomNodes(view, part.outputs, numbersOf(await inferWhole(view)));
      await using session = await this.open(
        view,
        part.outputs,
        seedsFor(seeded, (name) => name),
        level,
      );
      const feeds = new Map(session.inputs.map((port) => [port.name, known.get(port.name) ?? this.randomFeed(port)]));
      // All that can leave: an output may be a sequence.
      for (const [name, value] of await session.run(feeds)) known.set(name, value);
    }
    return known;
  }

  /** What the model gives, in a session of its own. */
  async reference(level: OptimizationLevel): Promise<Tensors> {
    const { model, tensors, entering } = this.compared;
    const inner = [...entering.values()].filter((name) => !model.inputs.has(name) || isInitializer(model, name));
    const wanted = [...new Set([...tensors, ...inner])];
    return this.guarded(async () => {
      await using session = await this.open(model, wanted, this.seeds.model, level);
      this.feeds ??= new Map([...(await this.feedsFor(session.inputs)), ...(await this.prepared())]);
      const { feeds } = this;
      const own = session.inputs.map(({ name }) => name);
      return await session.run(new Map([...feeds].filter(([name]) => own.includes(name))), wanted);
    });
  }

  private open(
    view: GraphView,
    outputs: readonly string[],
    addAttributes: readonly AddedAttribute[],
    optimization: OptimizationLevel,
  ): Promise<RuntimeSession> {
    const { add, outputs: computed } = tensorsAsTheyAre(outputs);
    return openComputation(
      view,
      { computation: { add: { ...add, addAttributes }, outputs: computed }, types: new Map() },
      { ...this.options, optimization },
    );
  }

  /** The values of the first batch of files, or seeded ones. */
  private async feedsFor(ports: readonly SessionPort[]): Promise<Map<string, TensorValue>> {
    const { inputs = [], inputShapes, image, fileSystem, remote, signal } = this.options;
    if (inputs.length === 0) return new Map(ports.map((port) => [port.name, this.randomFeed(port)]));
    const plan = await planInputs(inputs, ports, {
      fileSystem,
      image,
      remote,
      signal,
      recipe: (input) => modelRecipe(this.compared.model, input, image?.preprocess, fileSystem),
      shapes: this.inputs.shapes,
      given: inputShapes === undefined ? undefined : new Set(mapOf(inputShapes).keys()),
      limits: this.options.tensorLimits,
    });
    this.warnings.push(...plan.warnings);
    this.preprocessing = plan.preprocessing;
    const batchSize = batchSizeOf(plan);
    if (plan.rows > batchSize) this.warnings.push(`the first ${batchSize} of ${plan.rows} entries were compared`);
    return new Map((await firstBatch(plan)).feeds);
  }

  /** What the cut makes of seeded pixels, whatever was given: the values that the model gets in their place. */
  private async prepared(): Promise<Tensors> {
    const { cut, pixels = [] } = this.compared;
    const prepared = new Map<string, TensorValue>();
    for (const { input, tensor, layout, resize } of pixels) {
      const dims = declaredTypes(cut.model).get(input)?.shape;
      const numbers = this.sizesOf(tensor);
      if (dims == null || numbers === undefined) continue;
      const [height, width] = numbers[1] === 3 ? numbers.slice(2) : numbers.slice(1);
      const more = resize == null ? [0, 0] : MORE_PIXELS;
      const sides = [height + more[0], width + more[1]];
      const shape = dims.map((dim, axis) =>
        typeof dim === 'number' ? dim : axis === 0 ? numbers[0] : sides[axis - (layout === 'NCHW' ? 2 : 1)],
      );
      if (this.options.inputs?.length) {
        this.warnings.push(
          `the cut prepares pictures itself: its input '${input}' and what that is in the model, '${tensor}', were given seeded pixels and nothing of ${option('inputs')}`,
        );
        this.preprocessing = new Map([...this.preprocessing].filter(([name]) => name !== tensor));
      }
      const raw = randomTensor('uint8', shape, this.options.seed ?? 0, input);
      this.raw.set(input, raw);
      await using session = await this.open(cut, [tensor], [], 'disabled');
      for (const [name, value] of await session.run(new Map([[input, raw]]), [tensor])) prepared.set(name, value);
    }
    return prepared;
  }

  /** The sizes of an input of the model; undefined if its rank is not known. */
  private sizesOf(name: string): readonly number[] | undefined {
    const declared = declaredTypes(this.compared.model.model).get(name)?.shape ?? undefined;
    // What has a dim without a number is among those that were given one.
    return this.inputs.shapes.get(name) ?? (declared as readonly number[] | undefined);
  }

  private randomFeed({ name, dtype }: SessionPort): TensorValue {
    const shape = this.sizesOf(name);
    if (shape === undefined)
      throw new UsageError(`the shape of the input '${name}' is not known`, {
        hint: `give it with ${option('inputShapes', { [name]: [1, 3, 224, 224] })}`,
      });
    const made = randomTensor(dtype, shape, this.options.seed ?? 0, name);
    return this.compared.isOtherWay === true && dtype === 'bool' ? { ...made, data: opposite(made.data) } : made;
  }

  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    const { inputs } = this;
    const { inputShapes, inputs: files = [] } = this.options;
    try {
      return await work();
    } catch (error) {
      const isGuessed = inputs.symbolic.size > 0 && inputShapes === undefined && files.length === 0;
      if (!isGuessed || !(error instanceof RuntimeError) || error.code !== 'FEATX_RUNTIME') throw error;
      throw new RuntimeError(`${error.message}: the model may not take inputs of the sizes that were guessed`, {
        code: 'FEATX_RUNTIME',
        hint: `give sizes that it takes in the place of ${option('inputShapes', Object.fromEntries(inputs.shapes))}, or ${option('inputs')}`,
        cause: error,
      });
    }
  }
}

function opposite(values: TensorValue['data']): TensorValue['data'] {
  return Uint8Array.from(values as Uint8Array, (value) => 1 - value);
}

/** Pixels more than the network takes, so that what resizes them has something to do. */
const MORE_PIXELS = [17, 40] as const;

/** The numbers that tensors are, as far as they are constants or follow from sizes. */
function numbersOf({ nominal }: WholeInference): NumberOf {
  return (name) => {
    const info = nominal.infos.get(name);
    const value: Scalar | undefined = isTensor(info) ? info.value?.[0] : null;
    return typeof value === 'number' ? value : null;
  };
}
