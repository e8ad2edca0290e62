import type { TensorValue } from './onnx/tensor-value.js';
import { option } from './options/words.js';
import { dequantized, unblocked } from './tensors/codes.js';
import { isBitEqual, largestDifference, rearranged } from './tensors/compare.js';
import { ResolveError, RuntimeError, UsageError } from './errors.js';
import { readStoredInfo } from './features/resolvers/metadata.js';
import { carriersOf, type StoredInfo, type StoredOutput } from './features/stored-info.js';
import { CHANNEL_AXIS, type Layout } from './features/feature.js';
import { ancestorsOf, bodiesOf, hasTensor, isInitializer, viewGraph, type GraphView } from './onnx/graph.js';
import type { Node } from './onnx/records.js';
import { declaredTypes } from './onnx/types.js';
import { called } from './options/check.js';
import { mapOf } from './options/kinds.js';
import type { OptionsOf } from './options/types.js';
import { openChecked } from './prepare.js';
import type { VerifyFeatureRecord, VerifyReport } from './report/records.js';
import { openSession, type RuntimeSession } from './runtime/open-session.js';
import type { SessionOptions } from './runtime/session-options.js';
import type { OptimizationLevel } from './runtime/session.js';
import type { NominalInputs } from './shapes/nominal.js';
import { inferWhole } from './shapes/whole.js';
import { stackRows } from './tensors/tensor.js';
import { randomTensor } from './tensors/random.js';
import type { FileSystem } from './wire/fs.js';

/** What `verify` takes: the options of the table, and what only a program can give. */
export type VerifyOptions = OptionsOf<'verify'> & {
  readonly fileSystem?: FileSystem;
  /** What the models are called in the report; their paths by default. */
  readonly names?: readonly [model: string, extracted: string];
};

/** Fusions of a graph that is cut elsewhere round differently; float16 has 11 bits. */
const TOLERANCE = { float32: 1e-3, half: 5e-2 } as const;

/** Operators whose value is another one in every run. */
const RANDOM_OPS = new Set([
  'Bernoulli',
  'Multinomial',
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
]);

/**
 * What is compared: tensors of the model, concatenated on axis 1 where there are several, with an output of the cut.
 */
interface Pair {
  readonly index: number | null;
  readonly group?: string;
  readonly tensors: readonly string[];
  /** An output of the cut, or the tensor in front of the steps that were added to it. */
  readonly output: string;
  /** The output, where steps stand before it. */
  readonly leavesAs?: string;
  readonly layout: Layout | null;
  /** How the codes or the blocks of the tensor became the values of the output. */
  readonly held?: Pick<StoredOutput, 'codes' | 'blocked'>;
}

/**
 * Runs a model and a cut of it on the same seeded inputs and compares every feature: bit for bit at optimisation level
 * `disabled`, within a tolerance at `all`.
 * @throws UsageError if the cut is not of this model; what `openModel` and `openSession` throw
 */
export async function verify(
  source: string | Uint8Array,
  extracted: string | Uint8Array,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  return called('verify', options, () => compare(source, extracted, options));
}

async function compare(
  source: string | Uint8Array,
  extracted: string | Uint8Array,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const started = performance.now();
  const opening = { limits: options.limits, fileSystem: options.fileSystem };
  await using whole = await openChecked(source, opening);
  await using cut = await openChecked(extracted, opening);
  const result = await verifyViews(viewGraph(whole.model), viewGraph(cut.model), options);
  const nameOf = (input: string | Uint8Array): string | null => (typeof input === 'string' ? input : null);
  return {
    schema: 1,
    command: 'verify',
    model: options.names?.[0] ?? nameOf(source),
    extracted: options.names?.[1] ?? nameOf(extracted),
    ...result,
    elapsed_ms: Math.round(performance.now() - started),
  };
}

/** `verify` on models that are open. */
export async function verifyViews(
  model: GraphView,
  cut: GraphView,
  options: VerifyOptions = {},
): Promise<Pick<VerifyReport, 'equal' | 'features' | 'warnings'>> {
  const pairs = await outputPairs(model, cut, options.map === undefined ? undefined : mapOf(options.map));
  const tensors = [...new Set(pairs.flatMap((pair) => pair.tensors))];
  const outputs = [...new Set(pairs.flatMap(({ output, leavesAs = output }) => [output, leavesAs]))];
  const warnings: string[] = [];
  const random = new Set(pairs.filter((pair) => randomNodes(model, pair.tensors, warnings).length > 0));
  const stored = await readStoredInfo(cut.model);
  const entering = enteringTensors(model, cut, stored);
  const sizes = stored?.dims ?? [];
  const inputs = await inputSizes(model, options.inputShapes, sizes);
  const compared: Compared = { model, cut, tensors, outputs, entering, inputs, isResized: sizes.length > 0 };
  const exact = await bothRuns(compared, 'disabled', options);
  const fused = await bothRuns(compared, 'all', options);
  let equal = true;
  const features: VerifyFeatureRecord[] = [];
  for (const pair of pairs) {
    const [reference, result] = comparison(pair, exact);
    const [fusedReference, fusedResult] = comparison(pair, fused);
    const bitEqual = isBitEqual(reference, result);
    const difference =
      fusedReference.dtype === fusedResult.dtype && fusedReference.data.length === fusedResult.data.length
        ? largestDifference(fusedReference, fusedResult)
        : null;
    const tolerance =
      options.tolerance ?? (/16$|^float8|^int4|^uint4/.test(reference.dtype) ? TOLERANCE.half : TOLERANCE.float32);
    if (!random.has(pair) && (!bitEqual || difference === null || difference > tolerance)) equal = false;
    features.push({
      index: pair.index,
      ...(pair.group === undefined ? {} : { group: pair.group }),
      tensor: pair.tensors[0],
      ...(pair.leavesAs === undefined ? { output: pair.output } : { output: pair.leavesAs, before: pair.output }),
      bit_equal: bitEqual,
      max_difference: difference,
    });
  }
  return { equal, features, warnings };
}

/** What the cut says its outputs are; else outputs that are named as tensors of the model. */
async function outputPairs(
  model: GraphView,
  cut: GraphView,
  map: ReadonlyMap<string, string> | undefined,
): Promise<readonly Pair[]> {
  const outputs = [...cut.outputs.keys()];
  const exists = (name: string): boolean => hasTensor(model, name);
  const stored = (await readStoredInfo(cut.model))?.outputs ?? [];
  if (map !== undefined) {
    const wrong = [...map].flatMap(([tensor, output]) => [
      ...(exists(tensor) ? [] : [`the model has no tensor '${tensor}'`]),
      ...(cut.outputs.has(output) ? [] : [`the cut has no output '${output}'`]),
    ]);
    if (wrong.length > 0)
      throw new ResolveError(wrong.join('; '), {
        code: 'FEATX_RESOLVE_PAIR',
        hint: `the outputs of the cut are ${outputs.join(', ')}`,
      });
    return [...map].map(([tensor, output]) => ({ index: null, tensors: [tensor], output, layout: null }));
  }
  const pairs: Pair[] = stored
    .filter(({ output }) => cut.outputs.has(output))
    .flatMap((output) => carriersOf(output).map((carrier) => ({ ...carrier, leavesAs: output.output })))
    .filter(({ tensor, output }) => exists(tensor) && hasTensor(cut, output))
    .map(({ index, group, tensor, output, layout, codes, blocked, leavesAs }) => ({
      index,
      group,
      tensors: concatenatedInputs(model, cut, output) ?? [tensor],
      output,
      ...(leavesAs === output ? {} : { leavesAs }),
      layout,
      held: { codes, blocked },
    }));
  const paired = new Set(pairs.map(({ output, leavesAs = output }) => leavesAs));
  for (const name of outputs)
    if (!paired.has(name) && exists(name)) pairs.push({ index: null, tensors: [name], output: name, layout: null });
  if (pairs.length === 0)
    throw new ResolveError('the second model is not a cut of the first: none of its outputs is a tensor there', {
      code: 'FEATX_RESOLVE_PAIR',
      hint: `pair them with ${option('map', { TENSOR: 'OUTPUT' })}`,
    });
  return pairs;
}

/** Tensors of the model that a node of ours concatenates into an output of the cut. */
function concatenatedInputs(model: GraphView, cut: GraphView, output: string): readonly string[] | null {
  for (let name = output; ; ) {
    const node = cut.producerOf.get(name)?.node;
    if (node === undefined || model.producerOf.has(name)) return null;
    if (node.opType === 'Concat' && node.inputs.every((input) => model.producerOf.has(input))) return node.inputs;
    [name] = node.inputs;
  }
}

function randomNodes(view: GraphView, tensors: readonly string[], warnings: string[]): readonly Node[] {
  const isRandom = (node: Node): boolean =>
    RANDOM_OPS.has(node.opType) ||
    (node.opType === 'Dropout' && node.inputs.length > 2) ||
    bodiesOf(node).some((body) => body.nodes.some(isRandom));
  const nodes = [...ancestorsOf(view, tensors)].filter(isRandom);
  for (const { index, opType, name } of nodes) {
    const warning = `node[${index}] ${opType}${name === '' ? '' : ` '${name}'`} gives other values in every run; what depends on it is reported and not judged`;
    if (!warnings.includes(warning)) warnings.push(warning);
  }
  return nodes;
}

/**
 * The inputs of a cut that the model makes or calls otherwise, and the tensors of the model that they are.
 * @throws UsageError
 */
function enteringTensors(model: GraphView, cut: GraphView, info: StoredInfo | null): ReadonlyMap<string, string> {
  const stored = new Map(info?.inputs?.map(({ input, tensor }) => [input, tensor]));
  const entering = new Map<string, string>();
  const unknown: string[] = [];
  for (const name of cut.inputs.keys()) {
    if (isInitializer(cut, name)) continue;
    const tensor = stored.get(name) ?? name;
    if (!hasTensor(model, tensor)) unknown.push(name);
    else if (name !== tensor || !model.inputs.has(tensor) || isInitializer(model, tensor)) entering.set(name, tensor);
  }
  if (unknown.length === 0) return entering;
  throw new UsageError(`the cut has inputs that the model does not have: ${unknown.join(', ')}`, {
    code: 'FEATX_USAGE_PAIR',
  });
}

/** Sizes of the inputs of a model; those that a cut of it was given are those of the cut. @throws UsageError */
async function inputSizes(
  model: GraphView,
  given: VerifyOptions['inputShapes'],
  fixed: NonNullable<StoredInfo['dims']>,
): Promise<NominalInputs> {
  const { inputs } = await inferWhole(model, given);
  if (fixed.length === 0) return inputs;
  const shapes = new Map(inputs.shapes);
  for (const { input, axis, size } of fixed) {
    const shape = shapes.get(input);
    if (shape !== undefined) shapes.set(input, shape.with(axis, size));
  }
  return { ...inputs, shapes };
}

/** What is run of a model and of its cut. */
interface Compared {
  readonly model: GraphView;
  readonly cut: GraphView;
  readonly tensors: readonly string[];
  readonly outputs: readonly string[];
  /** Tensors of the model by the inputs of the cut that take them. */
  readonly entering: ReadonlyMap<string, string>;
  readonly inputs: NominalInputs;
  /** Whether the cut was given sizes. */
  readonly isResized: boolean;
}

interface Runs {
  readonly reference: ReadonlyMap<string, TensorValue>;
  readonly result: ReadonlyMap<string, TensorValue>;
}

/** The model as a whole with the tensors as further outputs, and the cut, one after the other. */
async function bothRuns(
  { model, cut, tensors, outputs, entering, inputs, isResized }: Compared,
  optimization: OptimizationLevel,
  options: VerifyOptions,
): Promise<Runs> {
  const { isolate, timeoutMs, memoryBytes, threads, signal, fileSystem } = options;
  const session: SessionOptions = { isolate, timeoutMs, memoryBytes, threads, signal, fileSystem, optimization };
  // A part of a model may take sizes that the whole does not.
  const own = isResized ? [] : [...model.outputs.keys()].filter((name) => isTensorIn(model, name));
  const feeds = seededFeeds(model, inputs, options);
  const wanted = [...new Set([...tensors, ...entering.values()])].filter((name) => !feeds.has(name));
  try {
    const reference = await runOnce(
      await openSession(model, { ...session, outputs: [...new Set([...wanted, ...tensors, ...own])] }),
      feeds,
      [...new Set([...wanted, ...tensors])],
    );
    const given = new Map(feeds);
    for (const [input, tensor] of entering) {
      const value = reference.get(tensor) ?? feeds.get(tensor);
      if (value !== undefined) given.set(input, value);
    }
    const result = await runOnce(await openSession(cut, { ...session, outputs }), given, outputs);
    return { reference, result };
  } catch (error) {
    if (inputs.symbolic.size === 0 || options.inputShapes !== undefined || !isRunFailure(error)) throw error;
    throw new RuntimeError(`${error.message}: the model may not take inputs of the sizes that were guessed`, {
      code: 'FEATX_RUNTIME',
      hint: `give sizes that it takes in the place of ${option('inputShapes', Object.fromEntries(inputs.shapes))}`,
      cause: error,
    });
  }
}

function isRunFailure(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'FEATX_RUNTIME';
}

function isTensorIn(view: GraphView, name: string): boolean {
  const type = declaredTypes(view.model).get(name);
  return type === undefined || type.type === undefined;
}

async function runOnce(
  session: RuntimeSession,
  feeds: ReadonlyMap<string, TensorValue>,
  fetches: readonly string[],
): Promise<ReadonlyMap<string, TensorValue>> {
  await using open = session;
  return await open.run(
    new Map(
      open.inputs.flatMap(({ name }) => {
        const tensor = feeds.get(name);
        return tensor === undefined ? [] : [[name, tensor] as const];
      }),
    ),
    fetches,
  );
}

/** Seeded inputs for every input that is a tensor. */
function seededFeeds(
  view: GraphView,
  { shapes }: NominalInputs,
  { seed = 0 }: VerifyOptions,
): Map<string, TensorValue> {
  const feeds = new Map<string, TensorValue>();
  for (const [name, type] of declaredTypes(view.model)) {
    if (!view.inputs.has(name) || isInitializer(view, name) || type.type !== undefined || type.dtype === null) continue;
    const shape = shapes.get(name) ?? type.shape?.map((dim) => (typeof dim === 'number' ? dim : 1));
    if (shape === undefined)
      throw new UsageError(`the shape of the input '${name}' is not known`, {
        hint: `give it with ${option('inputShapes', { [name]: [1, 3, 224, 224] })}`,
      });
    const dtype = /^float8|^float4/.test(type.dtype) ? 'float32' : type.dtype;
    feeds.set(name, randomTensor(dtype, shape, seed, name));
  }
  return feeds;
}

/**
 * The two tensors of a pair, in the layout of the cut.
 * @throws UsageError if their shapes fit no change of layout
 */
function comparison(
  { tensors, output, layout, held = {} }: Pair,
  { reference, result }: Runs,
): readonly [reference: TensorValue, result: TensorValue] {
  const parts = tensors.flatMap((name) => reference.get(name) ?? []);
  const target = result.get(output);
  if (target === undefined) throw new UsageError(`the cut gave no '${output}'`);
  const whole = parts.length === 1 ? numbersBehind(parts[0], held, target) : concatenatedOnAxis1(parts);
  const arranged = rearranged(whole, target, layout === null ? null : CHANNEL_AXIS[layout] === 1);
  return [arranged ?? whole, target];
}

/** The numbers that a tensor's codes stand for, or its blocks of channels as a map; any other tensor as it is. */
function numbersBehind(
  tensor: TensorValue,
  { codes, blocked }: NonNullable<Pair['held']>,
  target: TensorValue,
): TensorValue {
  if (codes !== undefined) return dequantized(tensor, codes);
  if (blocked === undefined) return tensor;
  // Nothing in the file says how many channels a block has: 8, or 16 where the machine has wider registers.
  const maps = BLOCKS.flatMap((block) => unblocked(tensor, block, blocked) ?? []);
  return maps.find((map) => isBitEqual(map, target)) ?? maps.at(0) ?? tensor;
}

const BLOCKS = [16, 8, 4];

function concatenatedOnAxis1(parts: readonly TensorValue[]): TensorValue {
  const [{ shape, dtype }] = parts;
  const batches = Array.from({ length: shape[0] }, (_, batch) =>
    stackRows(
      parts.map((part) => {
        const size = part.data.length / shape[0];
        return { dtype, shape: part.shape.slice(1), data: part.data.slice(batch * size, (batch + 1) * size) };
      }),
    ),
  );
  const whole = stackRows(batches);
  return { ...whole, shape: [shape[0], batches[0].shape[0], ...shape.slice(2)] };
}
