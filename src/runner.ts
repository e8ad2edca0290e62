import { basename } from 'node:path';
import { sidecarPaths } from './cut-files.js';
import type { Resolution } from './features/feature.js';
import { plainValues } from './onnx/tensor-data.js';
import { tensorsOf, viewGraph } from './onnx/graph.js';
import { isContained, type SidecarFiles } from './onnx/external-data.js';
import { indexModel } from './onnx/model.js';
import type { OnnxModel } from './onnx/records.js';
import type { OptionsOf } from './options/types.js';
import { prepare, type PrepareOptions } from './prepare.js';
import { planRewrite, type Plan, type PlannedOutput } from './rewrite/plan.js';
import { DEFAULT_PLAN, type PlanOptions } from './rewrite/tap.js';
import { droppedStarts, splice, topStart } from './rewrite/splice.js';
import { DEFAULT_ALIGN, planWeights } from './rewrite/weights.js';
import { openSession, type RuntimeSession } from './runtime/open-session.js';
import type { SessionOptions } from './runtime/session-options.js';
import type { RuntimeTensor } from './runtime/runtime-tensor.js';
import { materialize } from './wire/pieces.js';

export type RunnerOptions = Omit<OptionsOf<'run'>, 'output' | 'inputs'> &
  Pick<PrepareOptions, 'resolve'> &
  Pick<SessionOptions, 'fileSystem' | 'profilePrefix'> & {
    readonly plan?: Partial<PlanOptions>;
  };

/** Weights from this size on stay in the model's file and are mapped by the runtime. */
const MAPPED_BYTES = 1024;

/** Features of a model, ready to run: the graph is cut in memory, the weights stay in their files. */
export class FeatureRunner implements AsyncDisposable {
  private constructor(
    /** The selected features, in the order of the results. */
    readonly features: readonly PlannedOutput[],
    readonly resolution: Resolution,
    /** The files of the model: itself and its sidecars. */
    readonly files: readonly string[],
    readonly session: RuntimeSession,
    private readonly notes: readonly string[],
  ) {}

  /**
   * Opens a model and prepares the selected features.
   * @throws UsageError, ResolveError, ModelFormatError, PolicyError, IoError, RuntimeError
   */
  static async open(input: string | Uint8Array, options: RunnerOptions = {}): Promise<FeatureRunner> {
    const { isolate = false, timeoutMs, memoryBytes } = options;
    await using prepared = await prepare(input, {
      ...options,
      isolate,
      ...(isolate ? { timeoutMs, memoryBytes } : { timeoutMs: undefined, memoryBytes: undefined }),
    });
    const { model, view, files, types, resolution, selections, warnings, warn } = prepared;
    const { path } = model.source;
    const plan = planRewrite(view, types.types, selections, { ...DEFAULT_PLAN, ...options.plan });
    options.signal?.throwIfAborted();
    const mapped = await indexModel(await weightless(model, plan, files, warn), { limits: model.limits });
    const session = await openSession(viewGraph(mapped), { ...sessionOptions(options), beside: path });
    return new FeatureRunner(
      plan.outputs,
      resolution,
      path === undefined ? [] : [path, ...sidecarPaths(model, path)],
      session,
      warnings,
    );
  }

  get warnings(): readonly string[] {
    return [...this.notes, ...this.session.warnings];
  }

  /** Features by output name, in their order. @throws UsageError, RuntimeError, TimeoutError, IoError */
  async run(feeds: ReadonlyMap<string, RuntimeTensor>): Promise<ReadonlyMap<string, RuntimeTensor>> {
    const names = this.features.map(({ output }) => output);
    const known = new Set(this.session.inputs.map(({ name }) => name));
    return this.session.run(new Map([...feeds].filter(([name]) => known.has(name))), names);
  }

  /** Gives back the memory of results for those of later runs; nobody may use them any more. */
  recycle(results: ReadonlyMap<string, RuntimeTensor>): void {
    this.session.recycle(results.values());
  }

  close(): Promise<void> {
    return this.session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The cut as bytes of a few KB that point into the model's files; bytes in memory have no file to point into and stay whole. */
async function weightless(
  model: OnnxModel,
  plan: Plan,
  files: SidecarFiles,
  warn: (message: string) => void,
): Promise<Uint8Array> {
  const { path } = model.source;
  const dropped = droppedStarts(model, plan.edit);
  const isLarge = [...tensorsOf(model)].some((tensor) => {
    const values = dropped.has(topStart(model, tensor)) ? null : plainValues(tensor);
    return values !== null && values.end - values.start > MAPPED_BYTES;
  });
  const { contents } = await planWeights(model, plan.edit, files, {
    mode: path !== undefined && isLarge && isContained(basename(path)) ? 'reference' : 'keep',
    sameDirectory: true,
    align: DEFAULT_ALIGN,
    sourceName: path === undefined ? null : basename(path),
    warn,
  });
  return materialize(model.source, splice(model, plan.edit, contents));
}

function sessionOptions({
  providers,
  deviceId,
  threads,
  optimization,
  prepacking,
  isolate,
  timeoutMs,
  memoryBytes,
  signal,
  profilePrefix,
  fileSystem,
  strictExternal,
}: RunnerOptions): SessionOptions {
  return {
    providers,
    deviceId,
    threads,
    optimization,
    prepacking,
    isolate,
    timeoutMs,
    memoryBytes,
    signal,
    profilePrefix,
    fileSystem,
    strictExternal,
  };
}
