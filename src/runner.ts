import type { TensorValue } from './onnx/tensor-value.js';
import { sidecarPaths } from './cut-files.js';
import type { Resolution } from './features/feature.js';
import { inputsOf } from './features/needed.js';
import { selectionOf } from './features/suggestion.js';
import { isInitializer, type GraphView } from './onnx/graph.js';
import type { Graph } from './onnx/records.js';
import { tensorType } from './onnx/types.js';
import type { OptionsOf } from './options/types.js';
import { modelRecipe, modelSound } from './model-recipe.js';
import { prepare, type PrepareOptions } from './prepare.js';
import type { Elsewhere, ImageInput } from './preprocessing/input.js';
import type { SoundRecipe } from './preprocessing/sound.js';
import type { FoundRecipe } from './preprocessing/recipe.js';
import { mixingIn, type Mixing } from './rewrite/mixing.js';
import { planRewrite, type Plan, type PlannedOutput } from './rewrite/plan.js';
import { DEFAULT_PLAN, type PlanOptions } from './rewrite/tap.js';
import { openComputation, type RuntimeSession } from './runtime/open-session.js';
import type { Computation } from './runtime/session-plan.js';
import type { SessionOptions } from './runtime/session-options.js';
import { entriesIn, type BatchInputs, type Entries } from './shapes/entries.js';
import { followingAxes, type FollowedAxis } from './shapes/following-axes.js';
import { FileSource } from './wire/file-source.js';
import type { FileSystem } from './wire/fs.js';
import type { ByteSource } from './wire/source.js';

/** How the features of a model are opened to be run. */
export type RunnerOptions = Omit<OptionsOf<'run'>, 'output' | 'inputs'> &
  Pick<PrepareOptions, 'resolve'> &
  Pick<SessionOptions, 'fileSystem' | 'profilePrefix'> & {
    readonly plan?: Partial<PlanOptions>;
  };

/** Features of a model, ready to run: the graph is cut in memory, the weights stay in their files. */
export class FeatureRunner implements AsyncDisposable {
  private isClosed = false;

  private constructor(
    /** The selected features, in the order of the results. */
    readonly features: readonly PlannedOutput[],
    readonly resolution: Resolution,
    /** The files of the model: itself and its sidecars. */
    readonly files: readonly string[],
    readonly session: RuntimeSession,
    /** Numbers for all dims of the inputs that have symbolic ones, as `inspect` reports them. */
    readonly inputShapes: ReadonlyMap<string, readonly number[]>,
    /** The inputs whose sizes the caller gave. */
    readonly givenInputs: ReadonlySet<string> | undefined,
    private readonly notes: readonly string[],
    private readonly view: GraphView,
    /** The model's file, which the session reads weights from. */
    readonly source: ByteSource,
  ) {}

  /**
   * Opens a model and prepares the selected features.
   * @throws UsageError, ResolveError, ModelFormatError, PolicyError, IoError, RuntimeError
   */
  static async open(input: string | Uint8Array, options: RunnerOptions = {}): Promise<FeatureRunner> {
    const { isolate = false, timeoutMs, memoryBytes } = options;
    const prepared = await prepare(input, {
      ...options,
      isolate,
      ...(isolate ? { timeoutMs, memoryBytes } : { timeoutMs: undefined, memoryBytes: undefined }),
    });
    const { model, view, files, types, resolution, selections, warnings } = prepared;
    const { source } = model;
    try {
      const plan = planRewrite(view, types.types, selections, { ...DEFAULT_PLAN, ...options.plan });
      options.signal?.throwIfAborted();
      const asked = { computation: computationOf(model.graph, plan), types: types.types };
      const session = await openComputation(view, asked, options);
      const paths = !(source instanceof FileSource) ? [] : [source.path, ...sidecarPaths(model, source.path)];
      await files.close();
      const { nominalInputShape, givenInputs } = types;
      return new FeatureRunner(
        plan.outputs,
        resolution,
        paths,
        session,
        nominalInputShape,
        givenInputs,
        warnings,
        view,
        source,
      );
    } catch (error) {
      await prepared[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The model's file; null for one that is in memory or behind a URL. */
  get path(): string | null {
    return this.source instanceof FileSource ? this.source.path : null;
  }

  get warnings(): readonly string[] {
    return [...this.notes, ...this.session.warnings];
  }

  /** What else the model takes, and how something is selected that is computed of it. */
  elsewhere(): readonly Elsewhere[] {
    const own = new Set(this.session.inputs.map(({ name }) => name));
    const inputs = [...this.view.inputs.values()].filter(
      ({ name }) => !own.has(name) && !isInitializer(this.view, name),
    );
    return inputs.flatMap(({ name, type }) => {
      const selection = selectionOf(this.view, this.resolution, name);
      const { dtype, shape } = type === null ? { dtype: null, shape: null } : tensorType(type);
      return selection === null ? [] : [{ input: { name, dtype, shape }, selection }];
    });
  }

  /** Whether a tensor is computed of the inputs that the features take, and of no other. */
  takesEnoughFor(tensor: string): boolean {
    const own = new Set(this.session.inputs.map(({ name }) => name));
    return inputsOf(this.view, [tensor]).every((name) => own.has(name));
  }

  /** How the entries of a batch lie in each feature, by output name, as far as shapes prove it. */
  entriesIn(inputs: BatchInputs): Promise<ReadonlyMap<string, Entries>> {
    const outputs = this.features.map(({ output, tap, shape, converted }) => ({
      name: output,
      tensors: tap.tensors,
      shape,
      converted,
    }));
    return entriesIn(this.view, outputs, inputs);
  }

  /** Whether entries of a batch of any size change each other, by output name, as far as rules know. */
  mixingIn(batched: readonly string[]): Promise<ReadonlyMap<string, Mixing>> {
    const outputs = new Map(this.features.map(({ output, tap }) => [output, tap.tensors]));
    return mixingIn({ view: this.view, outputs, batched, inputShapes: this.numberedShapes() });
  }

  /**
   * The axes that have the size of an axis of inputs, by output name, as far as shapes prove it; nothing for features
   * that are in another form than their tensor.
   */
  async axesLike(like: FollowedAxis): Promise<ReadonlyMap<string, readonly number[]>> {
    const plain = this.features.filter(({ tap, converted }) => !converted && tap.tensors.length === 1);
    const tensors = plain.map(({ tap }) => tap.tensors[0]);
    const found = await followingAxes(this.view, tensors, like, this.numberedShapes());
    const own = plain.flatMap(({ output, tap, steps }) => {
      const axes = steps.length === 0 ? found.get(tap.tensors[0]) : undefined;
      return axes === undefined ? [] : [[output, axes] as const];
    });
    return new Map(own);
  }

  /** Numbers for all dims of the inputs, as far as they are known. */
  private numberedShapes(): ReadonlyMap<string, readonly number[]> {
    const declared = this.session.inputs.flatMap(({ name, shape }) =>
      shape?.every((dim) => typeof dim === 'number') === true ? [[name, shape] as const] : [],
    );
    return new Map([...declared, ...this.inputShapes]);
  }

  /** How pictures are prepared for an input. @throws UsageError, IoError, PolicyError */
  recipeFor(input: ImageInput, how: string | undefined, fileSystem?: FileSystem): Promise<FoundRecipe> {
    return modelRecipe(this.view, input, how, fileSystem);
  }

  /** How sound is prepared, at a rate that the caller names. @throws UsageError, IoError, PolicyError */
  soundFor(rate: number | undefined, fileSystem?: FileSystem): Promise<SoundRecipe> {
    return modelSound(this.view, rate, fileSystem);
  }

  /** Features by output name, in their order. @throws UsageError, RuntimeError, TimeoutError, IoError */
  async run(feeds: ReadonlyMap<string, TensorValue>): Promise<ReadonlyMap<string, TensorValue>> {
    const names = this.features.map(({ output }) => output);
    const known = new Set(this.session.inputs.map(({ name }) => name));
    return this.session.run(new Map([...feeds].filter(([name]) => known.has(name))), names);
  }

  /** Gives back the memory of results for those of later runs; nobody may use them any more. */
  recycle(results: ReadonlyMap<string, TensorValue>): void {
    this.session.recycle(results.values());
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.session.close();
    await this.source.close?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** What a plan computes, for a session: every output of the graph that it makes. */
export function computationOf({ outputs: own }: Graph, { edit, outputs }: Plan): Computation {
  const planned = new Map(outputs.map((output) => [output.output, output]));
  return {
    add: edit,
    outputs: (edit.outputs ?? own).map(({ name }) => {
      const feature = planned.get(name);
      return feature === undefined
        ? { name, tensor: name }
        : { name, tensor: feature.tap.tensors[0], shape: feature.shape, dtype: feature.dtype };
    }),
  };
}
