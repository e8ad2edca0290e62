import type { Node, ValueType } from '../onnx/records.js';
import type { GraphView } from '../onnx/graph.js';
import type { ByName } from '../options/by-name.js';
import { option } from '../options/words.js';
import { dtypeWord } from '../onnx/types.js';
import { MOST_STEPS } from './budget.js';
import { Constants } from './constants.js';
import { Evaluation } from './evaluate.js';
import { fitted, type Fit } from './fit.js';
import { inNumbers } from './in-numbers.js';
import { inferGraph, type Contradiction, type Gap, type Inference } from './infer.js';
import { isTensor, type Info } from './info.js';
import { nominalInputs, type NominalInputs } from './nominal.js';
import { formulaText } from './formula-text.js';

/** What is inferred of a model: for any input, and for inputs of nominal sizes. */
export interface WholeInference {
  readonly view: GraphView;
  readonly constants: Constants;
  readonly inputs: NominalInputs;
  /** For any input. */
  readonly proven: Inference;
  /** With numbers for symbols, and with the defaults that a caller may replace. */
  readonly nominal: Inference;
  readonly unmet: Fit['unmet'];
}

/** What is known of outputs of nodes from elsewhere. */
export interface Given {
  readonly proven: ReadonlyMap<string, ValueType>;
  readonly nominal: ReadonlyMap<string, ValueType>;
}

/** What was inferred with the sizes that the model declares: several look at the same view for it. */
const known = new WeakMap<GraphView, Promise<WholeInference>>();

/**
 * Types and shapes of every tensor of the main graph.
 * @throws UsageError if `inputShapes` do not fit the model
 */
export function inferWhole(view: GraphView, inputShapes?: ByName<readonly number[]>): Promise<WholeInference> {
  if (inputShapes !== undefined) return inferAnew(view, inputShapes);
  let inference = known.get(view);
  if (inference === undefined) known.set(view, (inference = inferAnew(view)));
  return inference;
}

async function inferAnew(view: GraphView, inputShapes?: ByName<readonly number[]>): Promise<WholeInference> {
  const guess = nominalInputs(view, inputShapes);
  const constants = await Constants.of(view.model);
  const proven = inferGraph(view, constants);
  const { inputs, unmet } = fitted(guess, proven.requirements);
  return { view, constants, inputs, proven, nominal: numbered(view, constants, inputs, proven, unmet), unmet };
}

/** The same with what is known from elsewhere. */
export function inferAgain({ view, constants, inputs, unmet }: WholeInference, given: Given): WholeInference {
  const proven = inferGraph(view, constants, { given: given.proven });
  const nominal = numbered(view, constants, inputs, proven, unmet, given.nominal);
  return { view, constants, inputs, proven, nominal, unmet };
}

/** With numbers in the place of symbols; inferred once more if these leave something open. */
function numbered(
  view: GraphView,
  constants: Constants,
  inputs: NominalInputs,
  proven: Inference,
  unmet: Fit['unmet'],
  given?: ReadonlyMap<string, ValueType>,
): Inference {
  const { shapes: inputShapes, symbols } = inputs;
  if (inputShapes.size === 0 && !hasOverridable(view)) return proven;
  const evaluated = unmet.length > 0 || hasOverridable(view) ? null : inNumbers(view, proven, inputs);
  return evaluated ?? inferGraph(view, constants, { inputShapes, symbols, fixDefaults: true, given });
}

function hasOverridable({ model, initializers }: GraphView): boolean {
  return model.irVersion >= 4 && model.graph.inputs.some(({ name }) => initializers.has(name));
}

/** A node that no input of the sizes that a model declares can go through. */
export interface Fault {
  readonly node: Node;
  readonly reason: string;
}

/**
 * Nodes that are impossible with the sizes that a model declares now and were not with those of before.
 * @param symbols numbers of the symbols and of unnamed dims of before
 */
export async function faultsOfSizes(
  before: GraphView,
  now: GraphView,
  symbols: ReadonlyMap<string, number>,
): Promise<readonly Fault[]> {
  const constants = await Constants.of(before.model);
  const [was, is] = [inferGraph(before, constants), inferGraph(now, constants)];
  const known = new Set(was.gaps.map(({ node }) => node.index));
  const evaluation = new Evaluation(symbols);
  return [
    ...is.gaps.flatMap(({ node, fault }) => (fault === null || known.has(node.index) ? [] : [{ node, reason: fault }])),
    ...was.requirements
      .filter((requirement) => !requirement.isDeclared && evaluation.holds(requirement) === false)
      .map((requirement) => ({ node: now.model.graph.nodes[requirement.node], reason: requirementText(requirement) })),
  ];
}

/** What a user should know: contradictions, impossible nodes, and sizes that were guessed in vain, one line each. */
export function inferenceNotes(whole: WholeInference): readonly string[] {
  const { contradictions, gaps } = whole.proven;
  const spentAt = whole.proven.spentAt ?? whole.nominal.spentAt;
  const impossible = gaps.filter(({ fault }) => fault !== null);
  return [
    ...(contradictions.length > 0 ? [contradictionNote(contradictions)] : []),
    ...(spentAt === null ? [] : [spentNote(spentAt)]),
    ...(impossible.length > 0 ? [impossibleNote(impossible)] : []),
    ...unfitNotes(whole, impossible),
  ];
}

function contradictionNote([first, ...others]: readonly Contradiction[]): string {
  const { tensor, declared, inferred, believed } = first;
  const more = others.length === 0 ? '' : `, and ${others.length} more of the kind`;
  return `the file declares '${tensor}' as ${infoText(declared)}, but its nodes make ${infoText(inferred)}${more}; what is ${believed} is believed`;
}

function spentNote(node: Node): string {
  return `the sizes of the model take more than ${MOST_STEPS.toLocaleString('en')} steps to calculate: from ${labelOf(node)} on, those that need formulas stay unknown`;
}

function impossibleNote([first, ...others]: readonly Gap[]): string {
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return `${labelOf(first.node)} is impossible: ${first.fault}${more}; types and shapes behind it stay unknown`;
}

/** One warning, with shapes that a user can pass. */
function unfitNotes({ view, inputs, nominal, unmet }: WholeInference, impossible: readonly Gap[]): readonly string[] {
  if (inputs.symbolic.size === 0) return [];
  const known = new Set(impossible.map(({ node }) => node));
  const fault = nominal.gaps.find(({ node, fault: reason }) => reason !== null && !known.has(node));
  const proposal = option(
    'inputShapes',
    Object.fromEntries([...inputs.shapes].filter(([name]) => inputs.symbolic.has(name))),
  );
  const node = fault?.node ?? (unmet.length > 0 ? view.model.graph.nodes[unmet[0].node] : undefined);
  if (node === undefined) return [];
  const reason = fault?.fault ?? requirementText(unmet[0]);
  return [
    `no sizes were found for the symbolic inputs that ${labelOf(node)} takes: ${reason}; the sizes tried last are ${proposal}: pass others like them`,
  ];
}

function requirementText({ size, is, number }: Fit['unmet'][number]): string {
  const text = formulaText(size) ?? 'a dim';
  return is === 'whole' ? `${text} must be a whole number from 1 on` : `${text} must be ${number}`;
}

function labelOf({ index, opType, name }: Node): string {
  return `node[${index}] ${name === '' ? opType : `${name} (${opType})`}`;
}

function infoText(info: Info): string {
  if (!isTensor(info)) return info.kind;
  const dims = info.shape?.map((dim) => formulaText(dim) ?? '?').join(', ');
  return `${dtypeWord(info.elemType) ?? 'a tensor'}${dims === undefined ? ' of unknown rank' : ` [${dims}]`}`;
}
