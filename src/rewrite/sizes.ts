import { typedInfo } from '../onnx/info-rows.js';
import { UsageError } from '../errors.js';
import { graphsOf, viewGraph, type GraphView } from '../onnx/graph.js';
import type { Dim, OnnxModel, ValueInfo, ValueType } from '../onnx/records.js';
import { nearestNames } from '../options/nearest.js';
import { option } from '../options/words.js';
import { unnamedDim } from '../shapes/infer.js';
import { Resizing, symbolsIn } from '../shapes/resize.js';
import { faultsOfSizes } from '../shapes/whole.js';
import type { TypeEdit } from './edit.js';
import type { PlannedSizes } from './tap.js';

/** Sizes that inputs of a model are to have. */
export interface AskedSizes {
  /** Numbers for symbols, and for axes of inputs as in `input:2`. */
  readonly dims: ReadonlyMap<string, number>;
  /** New names of symbols. */
  readonly renameDims: ReadonlyMap<string, string>;
}

/** A size as it was asked for, and the axes of inputs that have it. */
export interface ResizedDim {
  readonly dim: string;
  readonly size: number | string;
  readonly at: readonly { readonly input: string; readonly axis: number }[];
}

/** A model whose declarations say other sizes. */
export interface Resized {
  /** The model with these declarations; its bytes are those of the file. */
  readonly model: OnnxModel;
  readonly types: readonly TypeEdit[];
  readonly dims: readonly ResizedDim[];
  /** Numbers of symbols, and of dims of inputs that have no name. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly warnings: readonly string[];
}

/** An axis of an input. */
interface Axis {
  readonly input: ValueInfo;
  readonly axis: number;
  readonly dim: Dim;
}

/**
 * Puts numbers and other names in the place of symbols, wherever the model declares them: inputs, outputs, value_info,
 * bodies and functions, formulas too.
 * @throws UsageError `FEATX_DIM_UNKNOWN` naming every symbol and axis that there is not, with the nearest
 */
export function resize(model: OnnxModel, asked: AskedSizes): Resized {
  const weights = new Set(model.graph.initializers.map(({ name }) => name));
  const inputs = model.graph.inputs.filter(({ name }) => !weights.has(name));
  const axes = inputs.flatMap((input) => shapeOf(input.type).map((dim, axis): Axis => ({ input, axis, dim })));
  const found = interpreted(asked, axes, inputs);
  const resizing = new Resizing(found.symbols);
  const single = new Map<ValueInfo, ReadonlyMap<number, number>>();
  for (const { input, axis, size } of found.axes)
    single.set(input, new Map([...(single.get(input) ?? []), [axis, size]]));
  const blurred = new Resizing(new Map(found.blurred.map((symbol) => [symbol, UNKNOWN])));
  const isInput = new Set(inputs);
  const typeOf = (info: ValueInfo, type: ValueType): ValueType => {
    const whole = resizing.type(type);
    const own = single.get(info);
    if (own !== undefined && whole.kind === 'tensor')
      return { ...whole, shape: whole.shape?.map((dim, axis) => own.get(axis) ?? dim) ?? null };
    return isInput.has(info) || found.blurred.length === 0 ? whole : withoutUnknown(blurred.type(whole));
  };
  const types: TypeEdit[] = [];
  for (const info of declarations(model)) {
    if (info.type === null) continue;
    const type = typeOf(info, info.type);
    if (type !== info.type) types.push({ of: info, type });
  }
  return {
    model: withTypes(model, types),
    types,
    dims: found.dims,
    numbers: numbersOf(found),
    warnings: found.warnings,
  };
}

function numbersOf({ symbols, axes }: Interpreted): ReadonlyMap<string, number> {
  return new Map([
    ...[...symbols].flatMap(([name, size]) => (typeof size === 'number' ? [[name, size] as const] : [])),
    ...axes.map(({ input, axis, size }) => [unnamedDim(input.name, axis), size] as const),
  ]);
}

/** A model with the sizes that are asked for, and the nodes that are impossible with them. @throws UsageError */
export async function resizedView(
  before: GraphView,
  asked: AskedSizes,
): Promise<{ readonly view: GraphView; readonly resized: Resized & PlannedSizes }> {
  const resized = resize(before.model, asked);
  const view = viewGraph(resized.model);
  return { view, resized: { ...resized, faults: await faultsOfSizes(before, view, resized.numbers) } };
}

/** A name that no file has. */
const UNKNOWN = '\0unknown';

function withoutUnknown(type: ValueType): ValueType {
  if (type.kind !== 'tensor' || type.shape === null) return type;
  return { ...type, shape: type.shape.map((dim) => (typeof dim === 'string' && dim.includes(UNKNOWN) ? null : dim)) };
}

function shapeOf(type: ValueType | null): readonly Dim[] {
  return type?.kind === 'tensor' ? (type.shape ?? []) : [];
}

/** Everything that a model declares types in. */
function* declarations(model: OnnxModel): Generator<ValueInfo> {
  for (const { inputs, outputs, valueInfo } of graphsOf(model)) {
    yield* inputs;
    yield* outputs;
    yield* valueInfo;
  }
  for (const { valueInfo } of model.functions) yield* valueInfo;
}

/** A model whose main graph declares other types. */
export function withTypes(model: OnnxModel, types: readonly TypeEdit[]): OnnxModel {
  const typeOf = new Map(types.map(({ of, type }) => [of, type]));
  const changed = (list: readonly ValueInfo[]): readonly ValueInfo[] =>
    list.map((info) => {
      const type = typeOf.get(info);
      return type === undefined ? info : typedInfo(info, type);
    });
  const { graph } = model;
  return {
    ...model,
    graph: {
      ...graph,
      inputs: changed(graph.inputs),
      outputs: changed(graph.outputs),
      valueInfo: changed(graph.valueInfo),
    },
  };
}

interface Interpreted {
  readonly symbols: ReadonlyMap<string, number | string>;
  readonly axes: readonly { readonly input: ValueInfo; readonly axis: number; readonly size: number }[];
  /** Symbols that other inputs go on having: what they say elsewhere may be either. */
  readonly blurred: readonly string[];
  readonly dims: readonly ResizedDim[];
  readonly warnings: readonly string[];
}

/** @throws UsageError */
function interpreted(
  { dims, renameDims }: AskedSizes,
  axes: readonly Axis[],
  inputs: readonly ValueInfo[],
): Interpreted {
  const symbols = new Map<string, number | string>();
  const single: { readonly input: ValueInfo; readonly axis: number; readonly size: number }[] = [];
  const blurred: string[] = [];
  const record: ResizedDim[] = [];
  const warnings: string[] = [];
  const problems: { readonly text: string; readonly isUnknown: boolean }[] = [];
  const known = new Set(axes.flatMap(({ dim }) => (typeof dim === 'string' ? symbolsIn(dim) : [])));
  const problem = (text: string, isUnknown = true): void => void problems.push({ text, isUnknown });
  const placesOf = (symbol: string): ResizedDim['at'] =>
    axes.flatMap(({ input, axis, dim }) =>
      typeof dim === 'string' && symbolsIn(dim).includes(symbol) ? [{ input: input.name, axis }] : [],
    );
  const settle = (symbol: string, size: number | string, dim: string): void => {
    const before = symbols.get(symbol);
    if (before !== undefined && before !== size) problem(`'${symbol}' gets ${before} and ${size}`, false);
    symbols.set(symbol, size);
    record.push({ dim, size, at: placesOf(symbol) });
  };
  for (const [name, size] of dims) {
    const symbol = symbolMeant(name, known);
    if (symbol !== null) {
      settle(symbol, size, symbol);
      continue;
    }
    const place = axisNamed(name, axes, inputs);
    if (typeof place === 'string') problem(place === '' ? unknownText(name, known) : place, place === '');
    else if (typeof place.dim === 'number') {
      if (place.dim !== size) problem(`'${name}' is ${place.dim} in the file`, false);
      else record.push({ dim: name, size, at: [{ input: place.input.name, axis: place.axis }] });
    } else if (typeof place.dim === 'string' && isFormula(place.dim))
      problem(`'${name}' is ${place.dim}: give numbers for ${symbolsIn(place.dim).join(', ')}`, false);
    else if (place.dim !== null && placesOf(place.dim).length === 1) settle(place.dim, size, name);
    else {
      single.push({ input: place.input, axis: place.axis, size });
      record.push({ dim: name, size, at: [{ input: place.input.name, axis: place.axis }] });
      if (place.dim !== null) blurred.push(place.dim);
    }
  }
  const merged = new Set<string>();
  for (const [given, other] of renameDims) {
    const name = symbolMeant(given, known);
    if (name === null) problem(unknownText(given, known));
    else if (symbols.has(name)) problem(`'${name}' gets a number and a name`, false);
    else if (!isSymbol(other)) problem(`'${other}' would be read as a number or a formula`, false);
    else {
      const isMet = (known.has(other) && !renameDims.has(other) && !dims.has(other)) || merged.has(other);
      merged.add(other);
      if (isMet) warnings.push(`'${name}' and '${other}' are one size now: inputs that differ in it are wrong`);
      settle(name, other, name);
    }
  }
  if (problems.length === 0) return { symbols, axes: single, blurred, dims: record, warnings };
  throw new UsageError(
    `${option(dims.size > 0 ? 'dims' : 'renameDims')}: ${problems.map(({ text }) => text).join('; ')}`,
    {
      code: problems.some(({ isUnknown }) => isUnknown) ? 'FEATX_DIM_UNKNOWN' : 'FEATX_USAGE_DIM',
      hint: `the inputs are ${inputs
        .map(
          ({ name, type }) =>
            `${name} [${shapeOf(type)
              .map((dim) => dim ?? '?')
              .join(', ')}]`,
        )
        .join(', ')}`,
    },
  );
}

function isFormula(dim: string): boolean {
  const symbols = symbolsIn(dim);
  return symbols.length !== 1 || symbols[0] !== dim.trim();
}

function isSymbol(name: string): boolean {
  return name.trim() !== '' && !/^[-+]?\d/.test(name.trim()) && !isFormula(name);
}

/** A symbol by its name, or by the letter that narrow tables print for it if no other symbol begins with it. */
function symbolMeant(name: string, known: ReadonlySet<string>): string | null {
  if (known.has(name)) return name;
  if (!/^[A-Z]$/.test(name)) return null;
  const meant = [...known].filter((symbol) => /[A-Za-z]/.exec(symbol)?.[0].toUpperCase() === name);
  return meant.length === 1 ? meant[0] : null;
}

function unknownText(name: string, known: ReadonlySet<string>): string {
  const near = nearestNames(name, known);
  return `no input has a dim '${name}'${near.length === 0 ? '' : ` (nearest: ${near.join(', ')})`}`;
}

/** The axis that `input:2` names; what is wrong with it, empty if it does not look like one. */
function axisNamed(name: string, axes: readonly Axis[], inputs: readonly ValueInfo[]): Axis | string {
  const [, wanted, digits] = /^([^]*):(-?\d{1,4})$/.exec(name) ?? [];
  if (wanted === undefined) return '';
  const input = inputs.find((candidate) => candidate.name === wanted);
  if (input === undefined) return '';
  const rank = shapeOf(input.type).length;
  const axis = Number(digits) < 0 ? Number(digits) + rank : Number(digits);
  const found = axes.find((each) => each.input === input && each.axis === axis);
  return found ?? `'${wanted}' has ${rank} dims, so there is no axis ${digits}`;
}
