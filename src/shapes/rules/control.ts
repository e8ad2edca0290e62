import { DataType } from '../../onnx/schema.js';
import type { Graph } from '../../onnx/records.js';
import { RuleFault, type BodyResult, type Call, type Rule } from '../call.js';
import { Formula, type Atom, type Size } from '../formula.js';
import { isTensor, tensorInfo, type Info, type Shape } from '../info.js';
import { joined, joinedAnew } from '../join.js';

/** If, Loop and Scan. @see https://github.com/onnx/onnx/blob/main/docs/Operators.md */

function bodyOf(call: Call, name: string): Graph {
  const body = call.attribute(name)?.graphs[0];
  if (body === undefined) throw new RuleFault(`no ${name}`);
  return body;
}

/** The branch that a known condition takes, else what both have in common; a branch that is impossible says nothing. */
const choose: Rule = (call) => {
  const condition = call.value(0)?.[0];
  if (typeof condition === 'number')
    return call.runBody(bodyOf(call, condition === 0 ? 'else_branch' : 'then_branch'), []).outputs;
  const [yes, no] = ['then_branch', 'else_branch'].map((name) => call.runBody(bodyOf(call, name), []));
  if (yes.isFaulty !== no.isFaulty) return (yes.isFaulty ? no : yes).outputs;
  return yes.outputs.map((info, index) => joinedAnew(info, no.outputs[index] ?? null, call.algebra));
};

/** Rounds until the states of a loop no longer change. */
const MOST_ROUNDS = 4;

interface Iteration {
  /** States at the beginning of any round. */
  readonly states: readonly (Info | null)[];
  readonly last: BodyResult;
  /** Dims that differ from round to round. */
  readonly varying: ReadonlySet<Atom>;
}

/** The states of a loop made general until its body keeps them. */
function iterated(
  call: Call,
  initial: readonly (Info | null)[],
  run: (states: readonly (Info | null)[]) => { readonly result: BodyResult; readonly next: readonly (Info | null)[] },
): Iteration {
  const varying = new Set<Atom>();
  const widened = (a: Size): Size => {
    if (a instanceof Formula && varies(a, varying)) return a;
    const fresh = call.algebra.unknown();
    for (const leaf of fresh.leaves) varying.add(leaf);
    return fresh;
  };
  let states = initial;
  for (let round = 1; ; round++) {
    const { result, next } = run(states);
    const joint = states.map((state, index) => joined(state, next[index] ?? null, widened));
    if (joint.every((info, index) => isSame(info, states[index]))) return { states, last: result, varying };
    states = round < MOST_ROUNDS ? joint : joint.map((info, index) => (isSame(info, states[index]) ? info : null));
    if (round > 2 * MOST_ROUNDS) return { states: states.map(() => null), last: result, varying };
  }
}

function isSame(a: Info | null, b: Info | null): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  if (!isTensor(a)) {
    if (isTensor(b) || a.kind !== b.kind) return false;
    return 'element' in a && 'element' in b ? isSame(a.element, b.element) : true;
  }
  if (!isTensor(b) || a.elemType !== b.elemType || a.shape?.length !== b.shape?.length) return false;
  if (a.value?.length !== b.value?.length) return false;
  return (
    (a.shape?.every((dim, axis) => dim === b.shape?.[axis]) ?? true) &&
    (a.value?.every((scalar, at) => scalar === b.value?.[at]) ?? true)
  );
}

/** Whether a dim is a size of one round and not of all. */
function varies(size: Size, varying: ReadonlySet<Atom>): boolean {
  if (typeof size === 'number') return false;
  for (const leaf of size.leaves) if (varying.has(leaf)) return true;
  return false;
}

/** What a round makes, with another axis for the rounds. */
function stacked(call: Call, info: Info | null, count: Size, axis: number, varying: ReadonlySet<Atom>): Info {
  if (!isTensor(info)) return tensorInfo(0, null);
  if (info.shape === null) return tensorInfo(info.elemType, null);
  const dims: Shape = info.shape.map((dim) => (varies(dim, varying) ? call.unknown() : dim));
  const at = call.axis(axis, dims.length + 1);
  return tensorInfo(info.elemType, [...dims.slice(0, at), count, ...dims.slice(at)]);
}

/** Inputs: rounds, condition, states. The body: round, condition, states -> condition, states, what is stacked. */
const loop: Rule = (call) => {
  const body = bodyOf(call, 'body');
  const initial = call.inputs.slice(2);
  const count = Math.max(0, body.inputs.length - 2);
  const { states, last, varying } = iterated(call, initial, (current) => {
    const result = call.runBody(body, [tensorInfo(DataType.int64, []), tensorInfo(DataType.bool, []), ...current]);
    return { result, next: result.outputs.slice(1, 1 + count) };
  });
  const rounds = call.has(0) ? (call.value(0)?.[0] ?? null) : null;
  const goesOn = keepsGoing(body, last) && (!call.has(1) || call.value(1)?.[0] === 1);
  const stackedRounds = rounds !== null && goesOn ? call.algebra.max(rounds, 0) : call.unknown();
  return [...states, ...last.outputs.slice(1 + count).map((info) => stacked(call, info, stackedRounds, 0, varying))];
};

/** Whether a body says in every round that another shall follow. */
function keepsGoing(body: Graph, { outputs }: BodyResult): boolean {
  const [condition] = outputs;
  const [, given] = body.inputs;
  if (isTensor(condition) && condition.value?.[0] === 1) return true;
  const name = body.outputs[0]?.name;
  if (name === undefined || given === undefined) return false;
  if (name === given.name) return true;
  return body.nodes.some(
    ({ opType, domain, inputs, outputs: [made] }) =>
      opType === 'Identity' && domain === '' && made === name && inputs[0] === given.name,
  );
}

/**
 * States, then tensors that are read entry by entry along an axis; before version 9 behind lengths, and with a batch
 * axis in front.
 */
const scan: Rule = (call) => {
  const body = bodyOf(call, 'body');
  const isOld = call.opset < 9;
  const inputs = isOld ? call.inputs.slice(1) : call.inputs;
  const scanned = call.int('num_scan_inputs', 0);
  const count = inputs.length - scanned;
  if (scanned < 1 || count < 0) throw new RuleFault('no input is scanned');
  const batch = isOld ? firstDim(call, inputs) : null;
  const axes = call.ints('scan_input_axes') ?? [];
  const sequences = inputs.slice(count).map((info) => (isOld ? withoutAxis(call, info, 0) : info));
  const entries = sequences.map((info, at) => withoutAxis(call, info, axes[at] ?? 0));
  const lengths = sequences.map((info, at) => {
    const shape = isTensor(info) ? info.shape : null;
    return shape === null ? null : shape[call.axis(axes[at] ?? 0, shape.length)];
  });
  const length = lengths.find((size) => size !== null) ?? call.unknown();
  const initial = inputs.slice(0, count).map((info) => (isOld ? withoutAxis(call, info, 0) : info));
  const { states, last, varying } = iterated(call, initial, (current) => {
    const result = call.runBody(body, [...current, ...entries]);
    return { result, next: result.outputs.slice(0, count) };
  });
  const outputAxes = call.ints('scan_output_axes') ?? [];
  const stackedOutputs = last.outputs
    .slice(count)
    .map((info, at) => stacked(call, info, length, outputAxes[at] ?? 0, varying));
  const whole = [...states, ...stackedOutputs];
  return batch === null ? whole : whole.map((info) => stacked(call, info, batch, 0, new Set()));
};

function firstDim(call: Call, inputs: readonly (Info | null)[]): Size {
  for (const info of inputs) if (isTensor(info) && info.shape !== null && info.shape.length > 0) return info.shape[0];
  return call.unknown();
}

function withoutAxis(call: Call, info: Info | null, axis: number): Info | null {
  if (!isTensor(info) || info.shape === null) return isTensor(info) ? tensorInfo(info.elemType, null) : info;
  const gone = call.axis(axis, info.shape.length);
  return tensorInfo(
    info.elemType,
    info.shape.filter((_dim, at) => at !== gone),
  );
}

/** Rules of If, Loop and Scan. */
export const CONTROL: { readonly [opType: string]: Rule } = { If: choose, Loop: loop, Scan: scan };
