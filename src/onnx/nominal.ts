import { mapOf, type ByName } from '../options/kinds.js';
import { UsageError } from '../errors.js';
import { isInitializer, type GraphView } from './graph.js';
import type { Dim, ValueInfo } from './records.js';

/** Numbers for symbolic input dims, and what they make of the symbols. */
export interface NominalInputs {
  /** Per input that has a symbolic dim, or whose shape was given: all of its dims. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** The inputs among them that have a symbolic dim. */
  readonly symbolic: ReadonlySet<string>;
  readonly symbols: ReadonlyMap<string, number>;
}

type Role = 'batch' | 'channel' | 'side' | 'length';

/** Sequence lengths, frames, and other dims that nothing is known about. */
const LENGTH = 16;
const CHANNELS = 3;
/** More than this is not a number of image channels. */
const MOST_IMAGE_CHANNELS = 4;

const ROLE_NAMES: readonly (readonly [Role, RegExp])[] = [
  ['batch', /^(n|b|bs|bsz|batch.*|.*batch(_?size)?)$/i],
  ['side', /^(h|w|.*(height|width|image_?size|img_?size).*)$/i],
  ['channel', /^(c|.*channels?.*)$/i],
  ['length', /(seq|len|time|frame|token)/i],
];

/** Heights and widths that are tried for inputs that leave theirs open, in this order. */
export const NOMINAL_SIDES = [224, 256] as const;

/**
 * Numbers for every symbolic dim of the inputs: batch 1, height and width `side`, channels as the first convolution
 * wants them (else 3), 16 for anything else; a symbol has one number wherever it stands. `given` (by input name; `''`
 * names the only input) wins.
 * @throws UsageError naming every given shape that contradicts the model
 */
export function nominalInputs(
  view: GraphView,
  side: number,
  given: ByName<readonly number[]> = new Map(),
): NominalInputs {
  const inputs = view.model.graph.inputs.filter(({ name }) => !isInitializer(view, name));
  const named = givenByName(inputs, mapOf(given));
  const shapeOf = new Map(
    inputs.flatMap((input) => {
      const shape = inputShape(view, input) ?? named.get(input.name)?.map(() => null) ?? null;
      return shape === null ? [] : [[input.name, shape] as const];
    }),
  );
  const symbols = symbolsOf(shapeOf, named);
  const shapes = new Map<string, readonly number[]>();
  const symbolic = new Set<string>();
  for (const { name } of inputs) {
    const shape = shapeOf.get(name);
    if (shape === undefined) continue;
    const open = shape.some((dim) => typeof dim !== 'number');
    if (!open && !named.has(name)) continue;
    if (open) symbolic.add(name);
    const roles = rolesOf(shape);
    shapes.set(
      name,
      named.get(name) ??
        shape.map((dim, axis) => numberFor(view, name, dim, roles[axis], otherSide(shape, roles) ?? side, symbols)),
    );
  }
  return { shapes, symbolic, symbols };
}

/** A shape with numbers for its symbols; null if one remains. */
export function substituted(shape: readonly Dim[], symbols: ReadonlyMap<string, number>): readonly number[] | null {
  const numbers: number[] = [];
  for (const dim of shape) {
    const number = typeof dim === 'string' ? symbols.get(dim) : dim;
    if (number === undefined || number === null) return null;
    numbers.push(number);
  }
  return numbers;
}

function givenByName(
  inputs: readonly ValueInfo[],
  given: ReadonlyMap<string, readonly number[]>,
): Map<string, readonly number[]> {
  const named = new Map<string, readonly number[]>();
  const wrong: string[] = [];
  for (const [key, numbers] of given) {
    const name = key === '' && inputs.length === 1 ? inputs[0].name : key;
    const input = inputs.find((candidate) => candidate.name === name);
    if (input === undefined) {
      wrong.push(
        key === ''
          ? `a shape without a name, but the model has ${inputs.length} inputs`
          : `'${key}' is no input of the model`,
      );
      continue;
    }
    const declared = input.type?.kind === 'tensor' ? input.type.shape : null;
    const bad = numbers.some((number) => !Number.isSafeInteger(number) || number < 0);
    if (bad) wrong.push(`'${name}' gets ${numbers.join(',')}: dims are integers from 0`);
    else if (declared !== null && declared.length !== numbers.length)
      wrong.push(`'${name}' gets ${numbers.length} dims and has ${declared.length}`);
    else if (declared?.some((dim, axis) => typeof dim === 'number' && dim !== numbers[axis]))
      wrong.push(`'${name}' gets ${numbers.join(',')} and is fixed to ${shapeText(declared)}`);
    else named.set(name, numbers);
  }
  if (wrong.length === 0) return named;
  const known = inputs.map(
    ({ name, type }) =>
      `${name} (${type?.kind === 'tensor' && type.shape !== null ? shapeText(type.shape) : 'unknown shape'})`,
  );
  throw new UsageError(`the input shapes do not fit the model: ${wrong.join('; ')}`, {
    hint: `its inputs are ${known.join(', ') || 'none'}`,
  });
}

function shapeText(shape: readonly Dim[]): string {
  return shape.map((dim) => dim ?? '?').join(',');
}

/** The symbols that the given shapes settle. */
function symbolsOf(
  shapeOf: ReadonlyMap<string, readonly Dim[]>,
  named: ReadonlyMap<string, readonly number[]>,
): Map<string, number> {
  const symbols = new Map<string, number>();
  for (const [name, numbers] of named) {
    shapeOf.get(name)?.forEach((dim, axis) => {
      if (typeof dim !== 'string') return;
      const earlier = symbols.get(dim);
      if (earlier !== undefined && earlier !== numbers[axis])
        throw new UsageError(`the input shapes give the dim '${dim}' two sizes: ${earlier} and ${numbers[axis]}`, {
          hint: 'a dim of one name has one size in all inputs',
        });
      symbols.set(dim, numbers[axis]);
    });
  }
  return symbols;
}

/** The declared shape, or as many unknown dims as the convolution that reads the input has axes. */
function inputShape(view: GraphView, input: ValueInfo): readonly Dim[] | null {
  if (input.type?.kind !== 'tensor') return null;
  if (input.type.shape !== null) return input.type.shape;
  return convolutionOf(view, input.name)?.dims.map(() => null) ?? null;
}

/** Weight of the first convolution that reads a tensor, and into how many groups it splits the channels. */
function convolutionOf(
  view: GraphView,
  tensor: string,
): { readonly dims: readonly number[]; readonly groups: number } | null {
  for (const node of view.consumersOf.get(tensor) ?? []) {
    if (node.opType !== 'Conv' || node.domain !== '' || node.inputs[0] !== tensor) continue;
    const weight = view.initializers.get(node.inputs[1]);
    if (weight === undefined) continue;
    return { dims: weight.dims, groups: Number(node.attributes.find(({ name }) => name === 'group')?.i ?? 1) };
  }
  return null;
}

function rolesOf(shape: readonly Dim[]): readonly Role[] {
  const isChannels = (dim: Dim): boolean => typeof dim === 'number' && dim <= MOST_IMAGE_CHANNELS;
  const isOpen = (dim: Dim): boolean => typeof dim !== 'number';
  switch (shape.length) {
    case 4:
      return isChannels(shape[3]) && isOpen(shape[1])
        ? ['batch', 'side', 'side', 'channel']
        : ['batch', 'channel', 'side', 'side'];
    case 5:
      return isChannels(shape[2]) && !isChannels(shape[1])
        ? ['batch', 'length', 'channel', 'side', 'side']
        : ['batch', 'channel', 'length', 'side', 'side'];
    case 3:
      if (isChannels(shape[0]) && isOpen(shape[1]) && isOpen(shape[2])) return ['channel', 'side', 'side'];
      if (isChannels(shape[2]) && isOpen(shape[0]) && isOpen(shape[1])) return ['side', 'side', 'channel'];
      return ['batch', 'length', 'length'];
    default:
      return shape.map((_dim, axis) => (axis === 0 ? 'batch' : 'length'));
  }
}

/** The one side of an image that is fixed, for the other. */
function otherSide(shape: readonly Dim[], roles: readonly Role[]): number | null {
  const fixed = shape.find((dim, axis) => roles[axis] === 'side' && typeof dim === 'number');
  return typeof fixed === 'number' ? fixed : null;
}

function numberFor(
  view: GraphView,
  input: string,
  dim: Dim,
  role: Role,
  side: number,
  symbols: Map<string, number>,
): number {
  if (typeof dim === 'number') return dim;
  const settled = dim === null ? undefined : symbols.get(dim);
  if (settled !== undefined) return settled;
  // One letter says less than the place in a picture does.
  const byName =
    dim === null || (dim.length === 1 && role !== 'length')
      ? undefined
      : ROLE_NAMES.find(([, pattern]) => pattern.test(dim))?.[0];
  const number = nominalNumber(view, input, byName ?? role, side);
  if (dim !== null) symbols.set(dim, number);
  return number;
}

function nominalNumber(view: GraphView, input: string, role: Role, side: number): number {
  if (role === 'batch') return 1;
  if (role === 'side') return side;
  if (role === 'length') return LENGTH;
  const convolution = convolutionOf(view, input);
  return convolution === null || convolution.dims.length < 2 ? CHANNELS : convolution.dims[1] * convolution.groups;
}
