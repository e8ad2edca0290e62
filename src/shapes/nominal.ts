import { UsageError } from '../errors.js';
import { isInitializer, type GraphView } from '../onnx/graph.js';
import { mapOf, type ByName } from '../options/by-name.js';
import type { Dim, ValueInfo } from '../onnx/records.js';
import { Algebra } from './algebra.js';
import { Declarations } from './declared.js';
import { Evaluation } from './evaluate.js';
import { Formula, isPlainSymbol, type Size } from './formula.js';
import { unnamedDim } from './infer.js';

/** Numbers for symbolic input dims, and what they make of the symbols. */
export interface NominalInputs {
  /** Per input that has a symbolic dim, or whose shape was given: all of its dims. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** The inputs among them that have a symbolic dim. */
  readonly symbolic: ReadonlySet<string>;
  /** Numbers of symbols, and of the dims of inputs that the file does not name. */
  readonly symbols: ReadonlyMap<string, number>;
  /** The symbols whose number was chosen here and not given. */
  readonly chosen: ReadonlyMap<string, Role>;
  /** The dims of all inputs whose rank is known, and the shapes that were given. */
  readonly sizes: ReadonlyMap<string, readonly Size[]>;
  readonly named: ReadonlyMap<string, readonly number[]>;
}

/** What a dim of an input counts. */
export type Role = 'batch' | 'channel' | 'side' | 'length';

/** Height and width of a picture. */
const SIDE = 224;
/** Sequence lengths, frames, and other dims that nothing is known about. */
const LENGTH = 16;
const CHANNELS = 3;
/** More than this is not a number of image channels. */
const MOST_IMAGE_CHANNELS = 4;

const ROLE_NAMES: readonly (readonly [Role, RegExp])[] = [
  ['batch', /^(n|b|bs|bsz|batch.*|.*batch(_?size)?)$/i],
  ['side', /^(h|w|.*(height|width|image_?size|img_?size).*)$/i],
  ['channel', /^(c|.*channels?.*)$/i],
  ['length', /seq|len|time|frame|token|past|cache|total|point|sample|box|quer|vert|edge|(^|_)num(_|$)|^n_/i],
];

/**
 * Numbers for every symbolic dim of the inputs: batch 1, height and width of pictures 224, channels as the first
 * convolution wants them (else 3), 16 for anything else; a symbol has one number wherever it stands, and a formula in a
 * `dim_param` the number that its symbols give it. `given` (by input name; `''` names the only input) wins.
 * @throws UsageError naming every given shape that contradicts the model
 */
export function nominalInputs(view: GraphView, given: ByName<readonly number[]> = new Map()): NominalInputs {
  const inputs = view.model.graph.inputs.filter((input) => !isInitializer(view, input.name));
  const named = givenByName(inputs, mapOf(given));
  const shapeOf = new Map(
    inputs.flatMap((input) => {
      const shape = inputShape(view, input) ?? named.get(input.name)?.map(() => null) ?? null;
      return shape === null ? [] : [[input.name, shape] as const];
    }),
  );
  const symbols = symbolsOf(shapeOf, named);
  const sizes = sizesOf(shapeOf);
  const chosen = new Map<string, Role>();
  // Dims that are one symbol first: what formulas are made of is known then.
  for (const isPlain of [true, false]) {
    for (const [name, shape] of shapeOf) {
      const roles = rolesOf(shape, convolutionOf(view, name) !== null);
      const side = otherSide(shape, roles) ?? SIDE;
      sizes.get(name)?.forEach((size, axis) => {
        if (!(size instanceof Formula) || isPlainSymbol(size) !== isPlain || named.has(name)) return;
        for (const leaf of size.leaves) {
          if (symbols.has(leaf.name)) continue;
          const role = isPlain ? (roleByName(shape[axis], roles[axis]) ?? roles[axis]) : 'length';
          chosen.set(leaf.name, role);
          symbols.set(leaf.name, nominalNumber(view, name, role, side));
        }
      });
    }
  }
  const symbolic = new Set<string>();
  for (const [name, shape] of shapeOf) if (shape.some((dim) => typeof dim !== 'number')) symbolic.add(name);
  return { shapes: numbered(sizes, named, symbols), symbolic, symbols, chosen, sizes, named };
}

/** The same with other numbers for symbols. */
export function renumbered(inputs: NominalInputs, symbols: ReadonlyMap<string, number>): NominalInputs {
  return { ...inputs, symbols, shapes: numbered(inputs.sizes, inputs.named, symbols) };
}

/** All dims of the inputs that are symbolic or given, as numbers. */
function numbered(
  sizes: ReadonlyMap<string, readonly Size[]>,
  named: ReadonlyMap<string, readonly number[]>,
  symbols: ReadonlyMap<string, number>,
): Map<string, readonly number[]> {
  const evaluation = new Evaluation(symbols);
  const shapes = new Map<string, readonly number[]>();
  for (const [name, dims] of sizes) {
    const own = named.get(name);
    if (own !== undefined) shapes.set(name, own);
    else if (dims.some((dim) => typeof dim !== 'number'))
      shapes.set(
        name,
        dims.map((dim) => Math.max(0, evaluation.numberOf(dim) ?? LENGTH)),
      );
  }
  return shapes;
}

function sizesOf(shapes: ReadonlyMap<string, readonly Dim[]>): Map<string, readonly Size[]> {
  const algebra = new Algebra();
  const declarations = new Declarations(algebra);
  return new Map(
    [...shapes].map(([name, shape]) => [
      name,
      shape.map((dim, axis) => {
        const size = declarations.sizeOf(dim);
        return size instanceof Formula && !size.isKnown ? algebra.unnamed(unnamedDim(name, axis)) : size;
      }),
    ]),
  );
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
      if (dim === null) symbols.set(unnamedDim(name, axis), numbers[axis]);
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

/** What the dims of an input count, by their places: 224 is for the height and the width of pictures alone. */
function rolesOf(shape: readonly Dim[], isConvolved: boolean): readonly Role[] {
  const isChannels = (dim: Dim): boolean => typeof dim === 'number' && dim <= MOST_IMAGE_CHANNELS;
  const isOpen = (dim: Dim): boolean => typeof dim !== 'number';
  // A name of several letters that does not speak of a side is not one.
  const maySide = (dim: Dim): boolean =>
    isOpen(dim) && (typeof dim !== 'string' || dim.length === 1 || roleByName(dim, 'side') === 'side');
  switch (shape.length) {
    case 4:
      if (isChannels(shape[3]) && isOpen(shape[1])) return ['batch', 'side', 'side', 'channel'];
      return isOpen(shape[1]) || isChannels(shape[1]) || isConvolved
        ? ['batch', 'channel', 'side', 'side']
        : ['batch', 'channel', 'length', 'length'];
    case 5:
      return isChannels(shape[2]) && !isChannels(shape[1])
        ? ['batch', 'length', 'channel', 'side', 'side']
        : ['batch', 'channel', 'length', 'side', 'side'];
    case 3:
      if (isChannels(shape[0]) && maySide(shape[1]) && maySide(shape[2])) return ['channel', 'side', 'side'];
      if (isChannels(shape[2]) && maySide(shape[0]) && maySide(shape[1])) return ['side', 'side', 'channel'];
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

/** Names of what follows one another within an entry. */
const WITHIN = /seq|time|token|wave|audio|(^|_)len/i;

/**
 * Whether axis 0 of an input counts entries. It does not where it is a side or the channels of a picture, or steps of
 * time or text by its name: the whole input is one entry then.
 */
export function countsEntries(shape: readonly Dim[]): boolean {
  const [first] = shape;
  if (typeof first === 'string' && (WITHIN.test(first) || (shape.length === 1 && /sample/i.test(first))))
    return roleByName(first, 'batch') === 'batch';
  const [role] = rolesOf(shape, false);
  return role !== 'side' && role !== 'channel';
}

/** What the name of a dim says; one letter says less than the place in a picture does. */
function roleByName(dim: Dim, place: Role): Role | undefined {
  if (typeof dim !== 'string' || (dim.length === 1 && place !== 'length')) return undefined;
  return ROLE_NAMES.find(([, pattern]) => pattern.test(dim))?.[0];
}

function nominalNumber(view: GraphView, input: string, role: Role, side: number): number {
  if (role === 'batch') return 1;
  if (role === 'side') return side;
  if (role === 'length') return LENGTH;
  const convolution = convolutionOf(view, input);
  return convolution === null || convolution.dims.length < 2 ? CHANNELS : convolution.dims[1] * convolution.groups;
}
