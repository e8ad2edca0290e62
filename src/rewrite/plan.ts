import { option } from '../options/words.js';
import { UnsupportedModelError, UsageError } from '../errors.js';
import { NOT_HANDED_OVER } from '../features/values.js';
import type { Feature, Layout } from '../features/feature.js';
import {
  functionsUsedBy,
  hasTensor,
  isInitializer,
  nodeLabel,
  TensorsAmong,
  type GraphView,
  type Needed,
} from '../onnx/graph.js';
import { UNSORTED } from '../onnx/notes.js';
import type { Dim } from '../onnx/records.js';
import type { NewNode, NewTensor } from '../onnx/encode.js';
import { withSteps } from './behind.js';
import { withMask } from './mask.js';
import { hasSteps, type StepRecord } from './steps.js';
import { dataTypeOf, tensorBytes, type TensorTypes } from '../onnx/types.js';
import { freedIn, freedRecord, isRetyped, type FreedGraph, type FreedRecord } from './freed.js';
import { NO_DROPS, type Drops, type GraphEdit, type OutputEdit } from './edit.js';
import { planInputs, type PlannedBeginning, type PlannedInputs } from './inputs.js';
import { everything, keptFor } from './kept.js';
import { NamePool } from './names.js';
import {
  assertAliases,
  assertNames,
  assertSelection,
  assertTensors,
  declarationsOf,
  nameOutputs,
  typedOutput,
} from './outputs.js';
import { spanOf, type FoldedShape, type Span } from './span.js';
import type { BeforeSteps, BuiltTap, PlanOptions, Tap } from './tap.js';
import { buildTap, defaultOpset, opsetsFor } from './taps.js';

/** A feature as it leaves the graph. */
export interface PlannedOutput {
  readonly tap: Tap;
  readonly output: string;
  readonly dtype: string | null;
  readonly shape: readonly Dim[] | null;
  readonly layout: Layout | null;
  readonly prefixTokens: number;
  /** Whether it is another value than the tapped tensor: in another layout, or several tensors in one. */
  readonly converted: boolean;
  /** The tensor of the result that `steps` are computed of. */
  readonly before: BeforeSteps;
  readonly channels: number | null;
  readonly steps: readonly StepRecord[];
  /** The features that are one in this output. */
  readonly parts?: readonly BuiltTap[];
}

/** An edit, and the features that leave the graph by it. */
export interface Plan {
  readonly edit: GraphEdit;
  readonly outputs: readonly PlannedOutput[];
  /** Where the cut begins; null if it begins at the inputs of the model. */
  readonly begun: Begun | null;
  /** How the batch was freed; null if it was not asked for. */
  readonly freed: FreedRecord | null;
  /** Inputs that have another name than their tensor in the model. */
  readonly renamed: PlannedInputs['renamed'];
  /** What pixels go through in front of an input; null if pictures come prepared. */
  readonly pixels: PlannedInputs['pixels'];
  readonly warnings: readonly string[];
}

/** Where a cut begins, and what became of the inputs of the model. */
export interface Begun {
  readonly from: readonly PlannedBeginning[];
  readonly inputsKept: readonly string[];
  readonly inputsDropped: readonly string[];
  readonly folded: readonly FoldedShape[];
}

const MUCH_MEMORY = 2 ** 30;

/**
 * What to change so that the taps become graph outputs.
 * @throws UsageError for names that collide or do not fit the selection; ResolveError for a layout that cannot be had
 */
export function planRewrite(view: GraphView, types: TensorTypes, taps: readonly Tap[], options: PlanOptions): Plan {
  const { model } = view;
  const warnings: string[] = [];
  const ordered = options.order === 'exec' ? inExecutionOrder(view, taps) : taps;
  const selects = ordered.length > 0;
  const begins = options.from.length > 0;
  if (!selects && !begins && !options.whole)
    throw new UsageError('nothing is selected', {
      code: 'FEATX_USAGE_EMPTY',
      hint: `select features with ${option('out')}, ${option('module')}, ${option('tensor')} or ${option('node')}`,
    });
  assertTensors(view, ordered);
  const isHook = options.mode === 'hook' && !options.rewrite;
  const prune = begins || (selects && !isHook) || options.freeBatch !== null;
  const keepsOwn = isHook || options.keepOutputs || !selects;
  const roots = [
    ...ordered.flatMap(({ tensors }) => tensors),
    ...ordered.flatMap(scalesOf),
    ...(keepsOwn ? model.graph.outputs.map(({ name }) => name) : []),
  ];
  // The program of a page has no steps in it: nothing of them is called where there are none.
  const isStepped = hasSteps(options.steps);
  const steps = isStepped
    ? withMask(view, types, options.steps, ordered, (message) => void warnings.push(message))
    : options.steps;
  if (steps.pool?.mask != null) roots.push(steps.pool.mask);
  const span = begins
    ? spanOf(view, types, roots, options)
    : spanOfWhole(view, prune ? keptFor(view, roots) : everything(view));
  assertPossible(span.kept, options.sizes);
  const given = new Set(options.from.map(({ tensor }) => tensor));
  const names = new NamePool(view, span.kept, keepsOwn, given);
  assertSelection(ordered, options);
  const freed =
    options.freeBatch === null
      ? null
      : freedIn(
          { view, kept: span.kept, roots, given, opset: defaultOpset(model), fresh: (base) => names.fresh(base) },
          types,
          options.freeBatch,
        );
  const kept = freed?.kept ?? span.kept;
  const sized = freed?.view ?? view;
  const known = freed?.types ?? types;

  const declared = declarationsOf(sized, new Set(freed?.entries.keys()));
  const inputs = planInputs({ view: sized, types: known, declared, span, names, opset: defaultOpset(model) }, options);
  inputs.warnings.forEach((warning) => warnings.push(warning));

  const addInitializers: NewTensor[] = [];
  const tapped = ordered.map((tap) =>
    buildTap(view, known, freed === null ? tap : withTypesOf(known, tap), options, names),
  );
  const built = !isStepped
    ? tapped
    : withSteps(tapped, {
        opset: defaultOpset(model),
        steps,
        fresh: (base) => names.fresh(base),
        add: (tensor) => void addInitializers.push(tensor),
        warn: (message) => void warnings.push(message),
      });
  const outputNames = nameOutputs(view, built, options, names, warnings);
  assertNames(outputNames);
  assertAliases(
    model,
    declared,
    known,
    built.filter(({ tensor }, position) => tensor !== outputNames[position]),
  );
  const nodes: NewNode[] = built.flatMap((tap) => tap.nodes);
  const outputs = built.map((tap, position): OutputEdit => {
    const name = outputNames[position];
    if (name !== tap.tensor)
      nodes.push({ opType: 'Identity', name: names.fresh('featx/Identity'), inputs: [tap.tensor], outputs: [name] });
    return typedOutput(declared, known, tap, name, warnings);
  });
  // A name that stands twice among the outputs is one value.
  const own = joinedOutputs(
    [],
    model.graph.outputs.map(({ name }, index): OutputEdit => ({ name, borrow: { list: 'output', index }, type: null })),
  );
  const drop = prune
    ? drops(view, kept, outputs, keepsOwn, inputs, freed)
    : { ...NO_DROPS, inputs: inputs.dropInputs, valueInfo: declaredTwice(view, outputs) };
  if (drop.trainingInfo) warnings.push('training_info is dropped: it refers to tensors that the cut leaves out');
  if (!view.sorted) warnings.push(UNSORTED);
  for (const warning of [...memoryNeeded(built), ...hardToHandOver(built)]) warnings.push(warning);
  const finalOutputs = !keepsOwn ? outputs : isHook ? joinedOutputs(own, outputs) : joinedOutputs(outputs, own);
  return {
    edit: {
      drop,
      frontNodes: [...inputs.frontNodes, ...(freed?.frontNodes ?? [])],
      addNodes: [...(freed?.addNodes ?? []), ...nodes],
      rename: [...inputs.rename, ...(freed?.rename ?? [])],
      addAttributes: [],
      inside: view.inside ?? [],
      types: [...(options.sizes?.types ?? []).filter(({ of }) => !isRetyped(freed, of)), ...(freed?.edits ?? [])],
      addInitializers,
      addInputs: inputs.addInputs,
      outputs: finalOutputs,
      setMetadata: [],
      addOpsetImports: opsetsFor(model, [...inputs.frontNodes, ...(freed?.frontNodes ?? []), ...nodes]),
    },
    outputs: built.map(({ own, nodes: _nodes, tensor: _tensor, ...facts }, position) => ({
      ...facts,
      output: outputNames[position],
      converted: !own,
    })),
    begun: begins ? begunOf(view, span, inputs) : null,
    freed: freed === null ? null : freedRecord(freed, inputs, built, outputNames, finalOutputs),
    renamed: inputs.renamed,
    pixels: inputs.pixels,
    warnings,
  };
}

/** A tap whose shape is that of any batch. */
function withTypesOf(types: TensorTypes, tap: Tap): Tap {
  const shape = tap.tensors.length === 1 ? types.get(tap.tensors[0])?.shape : undefined;
  return shape === undefined ? tap : { ...tap, shape };
}

/** @throws UnsupportedModelError naming the nodes that take none of the sizes that were asked for */
function assertPossible({ nodes }: Needed, sizes: PlanOptions['sizes']): void {
  const faults = (sizes?.faults ?? []).filter(({ node }) => nodes.has(node));
  if (faults.length === 0) return;
  const [{ node, reason }, ...others] = faults;
  throw new UnsupportedModelError(
    `these sizes do not go through ${nodeLabel(node)}${node.name === '' ? '' : ` '${node.name}'`}: ${reason}${others.length === 0 ? '' : ` (and ${others.length} more)`}`,
    {
      code: 'FEATX_DIM_BAKED',
      hint: 'the exporter wrote other sizes into the graph: export the model with these, or give those that it was exported with',
    },
  );
}

/** The span of a cut that begins at the inputs of its model. */
function spanOfWhole(view: GraphView, kept: Needed): Span {
  return { kept, inputs: [...view.inputs.keys()].filter((name) => kept.tensors.has(name)), folded: [] };
}

function begunOf(view: GraphView, { inputs, folded }: Span, { from }: PlannedInputs): Begun {
  const own = [...view.inputs.keys()].filter((name) => !isInitializer(view, name));
  const kept = new Set(inputs);
  return {
    from,
    inputsKept: own.filter((name) => kept.has(name)),
    inputsDropped: own.filter((name) => !kept.has(name)),
    folded,
  };
}

/** The tensors that turn a tap's codes into numbers. */
function scalesOf({ asValue = false, codes }: Tap): readonly string[] {
  return asValue && codes?.tensors !== undefined
    ? [codes.tensors.scale, codes.tensors.zeroPoint].filter((name) => name !== '')
    : [];
}

/** Outputs of types that runtimes do not give back; an int4 output ends a Node.js process. */
function hardToHandOver(built: readonly BuiltTap[]): readonly string[] {
  return built
    .filter(({ dtype }) => NOT_HANDED_OVER.test(String(dtype)))
    .map(({ tensor, dtype }) => `'${tensor}' leaves as ${dtype}, which onnxruntime-node and Python do not give back`);
}

/** Outputs are held all at once, and no later tensor takes their place in memory. */
function memoryNeeded(built: readonly BuiltTap[]): readonly string[] {
  let bytes = 0;
  for (const { dtype, shape } of built) {
    const dims = shape?.map((dim) => (typeof dim === 'number' ? dim : 1));
    bytes += dims === undefined ? 0 : (tensorBytes({ dims, dataType: dataTypeOf(String(dtype)) }) ?? 0);
  }
  return bytes > MUCH_MEMORY
    ? [
        `these ${built.length} features take ${(bytes / 2 ** 30).toFixed(1)} GiB of memory at once, more where their shapes are symbolic`,
      ]
    : [];
}

/** Outputs of both lists, those of the first in front; an output that stands in both keeps its first place. */
function joinedOutputs(first: readonly OutputEdit[], second: readonly OutputEdit[]): readonly OutputEdit[] {
  const byName = new Map<string, OutputEdit>();
  for (const output of [...first, ...second]) if (!byName.has(output.name)) byName.set(output.name, output);
  return [...byName.values()];
}

/** timm's order: as the network computes them. */
function inExecutionOrder(view: GraphView, taps: readonly Tap[]): readonly Tap[] {
  const position = ({ tensors }: Tap): number =>
    tensors.reduce((last, name) => Math.max(last, view.producerOf.get(name)?.node.index ?? -1), -1);
  return [...taps].sort((a, b) => position(a) - position(b));
}

/** `value_info` of tensors that become outputs: an output says its type itself. */
function declaredTwice({ model: { graph } }: GraphView, outputs: readonly OutputEdit[]): readonly number[] {
  const fresh = new Set(outputs.map(({ name }) => name));
  for (const { name } of graph.outputs) fresh.delete(name);
  return indicesWhere(graph.valueInfo, ({ name }) => fresh.has(name));
}

/** What a pruned graph leaves out: everything that no kept node, output or annotation refers to. */
function drops(
  view: GraphView,
  { nodes, tensors }: Needed,
  outputs: readonly OutputEdit[],
  keepsOwn: boolean,
  { from, dropInputs, replaced }: PlannedInputs,
  freed: FreedGraph | null,
): Drops {
  const { model } = view;
  const { graph } = model;
  const outputNames = new Set(outputs.map(({ name }) => name));
  if (keepsOwn) for (const { name } of graph.outputs) outputNames.add(name);
  for (const { tensor } of from) outputNames.add(tensor);
  const gone = new Set(dropInputs);
  const usedFunctions = functionsUsedBy(model, nodes);
  return {
    nodes: indicesWhere(graph.nodes, (node) => !nodes.has(node)),
    initializers: indicesWhere(graph.initializers, ({ name }) => !tensors.has(name) || replaced.has(name)),
    sparseInitializers: indicesWhere(
      graph.sparseInitializers,
      ({ values }) => values !== null && (!tensors.has(values.name) || replaced.has(values.name)),
    ),
    inputs: indicesWhere(graph.inputs, ({ name }, index) => !tensors.has(name) || gone.has(index)),
    valueInfo: droppedInfos(view, tensors, [...outputNames, ...(freed?.entries.keys() ?? [])]),
    quantizationAnnotations: indicesWhere(graph.quantizationAnnotations, ({ tensorName }) => !tensors.has(tensorName)),
    functions: indicesWhere(model.functions, (definition) => !usedFunctions.has(definition)),
    metadata: [],
    trainingInfo: model.trainingInfo.length > 0,
  };
}

/** `value_info` of tensors that are gone, and of some others. */
function droppedInfos(
  { model, columns }: GraphView,
  tensors: Needed['tensors'],
  others: Iterable<string>,
): readonly number[] {
  const { valueInfo } = model.graph;
  const numbers = columns.tensorsOf(valueInfo);
  const gone = new Set(others);
  const numbersGone = new Set(Array.from(gone, (name) => columns.tensorOf.get(name)));
  return indicesWhere(valueInfo, (info, index) => {
    const tensor = numbers[index];
    if (tensor < 0 || !(tensors instanceof TensorsAmong)) return !tensors.has(info.name) || gone.has(info.name);
    return !tensors.hasNumber(tensor) || numbersGone.has(tensor);
  });
}

function indicesWhere<T>(list: readonly T[], test: (item: T, index: number) => boolean): readonly number[] {
  const indices: number[] = [];
  list.forEach((item, index) => void (test(item, index) && indices.push(index)));
  return indices;
}

/** The FeatureInfo that a cut carries: the whole list, `tensor` null for what is no longer there. */
export function cutFeatures(view: GraphView, features: readonly Feature[], edit: GraphEdit): readonly Feature[] {
  const { graph } = view.model;
  const { drop } = edit;
  const nodes = new Set(drop.nodes);
  const given = new Set([
    ...drop.inputs.map((index) => graph.inputs[index].name),
    ...drop.initializers.map((index) => graph.initializers[index].name),
    ...drop.sparseInitializers.map((index) => graph.sparseInitializers[index].values?.name ?? ''),
  ]);
  const entering = new Set([
    ...edit.addInputs.map(({ name }) => name),
    ...edit.frontNodes.flatMap(({ outputs }) => outputs),
  ]);
  const isKept = (tensor: string): boolean => {
    if (entering.has(tensor)) return true;
    const producer = view.producerOf.get(tensor);
    return producer === undefined ? hasTensor(view, tensor) && !given.has(tensor) : !nodes.has(producer.node.index);
  };
  return features.map((feature) =>
    feature.tensor !== null && !isKept(feature.tensor) ? { ...feature, tensor: null } : feature,
  );
}
