import { call, option } from '../options/words.js';
import { UsageError } from '../errors.js';
import { hasTensor, type GraphView } from '../onnx/graph.js';
import { DEFAULT_LIMITS } from '../onnx/limits.js';
import type { Dim, OnnxModel, ValueInfo, ValueType } from '../onnx/records.js';
import { dataTypeOf, dtypeWord, type TensorType, type TensorTypes } from '../onnx/types.js';
import { decodeText, encodeText } from '../wire/text.js';
import type { OutputEdit } from './edit.js';
import type { NamePool } from './names.js';
import type { StepRecord } from './steps.js';
import type { BuiltTap, PlanOptions, Tap } from './tap.js';

/** What the outputs of a result are called, and what they say of themselves. */

/** @throws UsageError naming every tensor that the main graph does not have */
export function assertTensors(view: GraphView, taps: readonly Tap[]): void {
  const absent = taps.flatMap(({ tensors }) => tensors).filter((name) => !hasTensor(view, name));
  if (absent.length > 0)
    throw new UsageError(`the main graph has no tensor ${quotedNames(absent)}`, {
      code: 'FEATX_USAGE_TENSOR',
      hint: `list every tensor with ${call('inspect', 'listTensors')}`,
    });
}

/** @throws UsageError where names and selection do not fit together */
export function assertSelection(taps: readonly Tap[], { mode, outMap, steps }: PlanOptions): void {
  const isOne = steps.concat !== null;
  if (outMap !== null && outMap.length !== (isOne ? 1 : taps.length)) {
    throw new UsageError(
      isOne
        ? `${option('outMap')} names ${outMap.length} outputs, and ${option('concat')} makes one`
        : `${option('outMap')} names ${outMap.length} outputs, but ${taps.length} features are selected`,
      {
        code: 'FEATX_USAGE_OUT_MAP',
        hint: isOne ? 'give one name' : 'give one name per selected feature, in their order',
      },
    );
  }
  const repeated = repeatedIn(outMap ?? []);
  if (repeated.length > 0)
    throw new UsageError(`${option('outMap')} repeats ${quotedNames(repeated)}`, { code: 'FEATX_USAGE_OUT_MAP' });
  if (outMap?.includes(''))
    throw new UsageError(`${option('outMap')} has an empty name`, { code: 'FEATX_USAGE_OUT_MAP' });
  if (mode !== 'dict' || outMap !== null || isOne) return;
  const keys = taps.map((tap) => tap.name ?? keyOf(tap) ?? tap.tensors.join('+'));
  const twice = repeatedIn(keys);
  if (twice.length > 0)
    throw new UsageError(`${quotedNames(twice)} selected twice: a dict has one entry per key`, {
      code: 'FEATX_USAGE_DUPLICATE',
      hint: `leave out the repetition, name the outputs with ${option('outMap')}, or use ${option('mode', 'list')}`,
    });
}

/** What a dict calls an output that is not called by its tensor. */
function keyOf({ key, index }: Tap): string | null {
  return key ?? (index === null ? null : String(index));
}

function repeatedIn(names: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  return names.filter((name) => seen.size === seen.add(name).size);
}

/** Names for a message, each once. */
function quotedNames(names: readonly string[]): string {
  return [...new Set(names)].map((name) => `'${name}'`).join(', ');
}

/**
 * One name per output: the map's, else `str(index)` in a dict, else the tensor's own. @throws UsageError for a name of
 * the map that is taken
 */
export function nameOutputs(
  view: GraphView,
  built: readonly BuiltTap[],
  { mode, outMap }: PlanOptions,
  names: NamePool,
  warnings: string[],
): readonly string[] {
  if (outMap !== null) {
    const taken = outMap.filter((name, position) => names.has(name) && !isOwnName(view, names, built[position], name));
    if (taken.length > 0)
      throw new UsageError(
        `${option('outMap')}: ${quotedNames(taken)} ${taken.length === 1 ? 'is' : 'are'} taken by another tensor of the model`,
        { code: 'FEATX_USAGE_OUT_MAP', hint: 'choose names that the model does not use' },
      );
    for (const name of outMap) names.claim(name);
    return outMap;
  }
  const reused = new Set<string>();
  return built.map((tap) => {
    const { index, tensors, name: given } = tap.tap;
    const alias = tap.steps.length === 0 ? undefined : tap.tap.alias;
    const plain = tensors.length > 1 ? (tap.tap.module ?? tensors[0]) : valueName(names, tap.tap);
    const last = tap.steps.at(-1);
    const own = alias ?? (last === undefined ? plain : `${plain}_${AFTER[last.step]}`);
    const wanted = given ?? (mode === 'dict' ? keyOf(tap.tap) : null) ?? own;
    if (
      tap.own &&
      tap.tensor === wanted &&
      names.isGivenAway(wanted) &&
      view.outputs.has(wanted) &&
      !reused.has(wanted)
    ) {
      reused.add(wanted);
      return wanted;
    }
    if (!names.isGivenAway(wanted) && (isOwnName(view, names, tap, wanted) || !names.has(wanted))) {
      names.claim(wanted);
      reused.add(wanted);
      return wanted;
    }
    const name = names.fresh(index === null ? `${wanted}_feature` : `feature_${index}`);
    if (!(tap.own && tensors[0] === wanted))
      warnings.push(
        `the name '${wanted}' is taken by another tensor; ${index === null ? 'the output' : `feature ${index}`} is named '${name}'`,
      );
    names.claim(name);
    return name;
  });
}

/**
 * @throws UsageError for names that no file can hold, and for those that no reader takes unless its limit is raised
 */
export function assertNames(names: readonly string[]): void {
  for (const name of names) {
    const bytes = encodeText(name);
    const most = DEFAULT_LIMITS.nameBytes;
    const problem =
      bytes.length > most
        ? `takes ${bytes.length} bytes, more than the ${most} that are read back`
        : decodeText(bytes) === name
          ? null
          : 'holds half of a surrogate pair, which no file can hold';
    if (problem === null) continue;
    const shown = name.length > LONGEST_NAME_SHOWN ? `${name.slice(0, LONGEST_NAME_SHOWN)}…` : name;
    throw new UsageError(`the output name '${shown}' ${problem}`, {
      code: 'FEATX_USAGE_OUT_MAP',
      hint: `choose another name with ${option('outMap')}`,
    });
  }
}

const LONGEST_NAME_SHOWN = 40;

/** How names of outputs end that are computed of a tensor, by the last step. */
const AFTER: { readonly [S in StepRecord['step']]: string } = {
  pool: 'pooled',
  flatten: 'flat',
  project: 'projected',
  normalize: 'normalized',
  concat: 'concat',
  cast: 'cast',
};

/** A tensor's name, or one for its value: quantisers call the codes of `x` `x_quantized`. */
function valueName(names: NamePool, { tensors: [tensor], asValue = false, asFloat = false, blocked }: Tap): string {
  if (asFloat) return `${tensor}_float32`;
  if (!asValue) return tensor;
  const plain = tensor.replace(/_quantized$/, '');
  if (plain !== tensor && !names.has(plain)) return plain;
  return `${tensor}_${blocked == null ? 'dequantized' : 'unblocked'}`;
}

/**
 * Whether an output of that name is the tapped tensor itself: no alias is needed. Inputs and initializers never leave
 * bare.
 */
function isOwnName(view: GraphView, names: NamePool, { tensor, own }: BuiltTap, name: string): boolean {
  return own && tensor === name && view.producerOf.has(name) && !names.isGiven(name);
}

/** The first opset whose Identity ONNX Runtime has a kernel for, by dtype; Infinity if it has none in any. */
const IDENTITY_SINCE: { readonly [dtype: string]: number } = {
  ...Object.fromEntries(['e4m3fn', 'e4m3fnuz', 'e5m2', 'e5m2fnuz'].map((kind) => [`float8${kind}`, 19])),
  ...Object.fromEntries(
    ['int4', 'uint4', 'int2', 'uint2', 'float4e2m1', 'float8e8m0'].map((dtype) => [dtype, Number.POSITIVE_INFINITY]),
  ),
};

/**
 * Whether outputs may bear other names than their tensors: Identity takes tensors of most dtypes, sequences of tensors
 * from opset 14 on, and optionals from opset 16 on.
 * @throws UsageError
 */
export function assertAliases(
  model: OnnxModel,
  declared: Declarations,
  types: TensorTypes,
  renamed: readonly BuiltTap[],
): void {
  const opset = model.opsetImports.find(({ domain }) => domain === '')?.version ?? 0;
  const refused = renamed.filter(
    ({ tensor, own }) => !canAlias(model, own ? declared.get(tensor)?.type : undefined, types.get(tensor)),
  );
  if (refused.length === 0) return;
  throw new UsageError(
    `${quotedNames(refused.map(({ tensor }) => tensor))}: values of this type cannot leave under another name: the Identity of opset ${opset} does not take them`,
    {
      code: 'FEATX_USAGE_ALIAS',
      hint: `leave out ${option('outMap')} and repetitions, and select it by name: it keeps its own name`,
    },
  );
}

/** Whether the Identity of the model's opset takes values of a type, as declared or as it is known. */
export function canAlias(model: OnnxModel, declared: ValueType | undefined, known: TensorType | undefined): boolean {
  const opset = model.opsetImports.find(({ domain }) => domain === '')?.version ?? 0;
  const kind = declared?.kind ?? known?.type ?? 'tensor';
  if (kind === 'sequence') {
    const element = declared?.kind === 'sequence' ? declared.element : null;
    return opset >= 14 && (element === null || element.kind === 'tensor');
  }
  if (kind !== 'tensor') return kind === 'optional' && opset >= 16;
  const dtype = declared?.kind === 'tensor' ? dtypeWord(declared.elemType) : null;
  return opset >= (IDENTITY_SINCE[dtype ?? known?.dtype ?? ''] ?? 0);
}

/** A graph output with what is known of it: the file's own words, else what was inferred, else its name alone. */
export function typedOutput(
  declared: Declarations,
  types: TensorTypes,
  { tap, tensor, shape, dtype, own }: BuiltTap,
  name: string,
  warnings: string[],
): OutputEdit {
  if (own) {
    const declaration = declared.get(tensor);
    if (declaration !== undefined && isTrue(declaration.type, types.get(tensor)))
      return { name, borrow: declaration.borrow, type: null };
  }
  const known = types.get(own ? tensor : tap.tensors[0]);
  if (own && known?.whole !== undefined && isComplete(known.whole)) return { name, borrow: null, type: known.whole };
  const elemType = dataTypeOf((own ? known?.dtype : (dtype ?? known?.dtype)) ?? '');
  if (elemType > 0 && (!own || known?.type === undefined)) {
    const type: ValueType = { kind: 'tensor', elemType, shape: own ? (known?.shape ?? null) : shape };
    if (type.shape === null) warnings.push(`the shape of the output '${name}' is not known; it is left open`);
    return { name, borrow: null, type };
  }
  warnings.push(`the type of the output '${name}' is not known; only its name is written`);
  return { name, borrow: null, type: null };
}

/** Whether a declaration says nothing that is known to be wrong, and no less than what is known. */
function isTrue(declared: ValueType, known: TensorType | undefined): boolean {
  if (declared.kind !== 'tensor' || known === undefined || known.type !== undefined) return true;
  if (known.dtype !== null && dataTypeOf(known.dtype) !== declared.elemType) return false;
  if (known.shape === null) return true;
  const { shape } = declared;
  return shape?.length === known.shape.length && known.shape.every((dim, axis) => !contradicts(dim, shape[axis]));
}

function contradicts(known: Dim, declared: Dim): boolean {
  return typeof known === 'number' ? declared !== known : known !== null && declared === null;
}

/** Whether a type names what it is made of, down to a dtype. */
function isComplete(type: ValueType): boolean {
  if (type.kind === 'tensor' || type.kind === 'sparse_tensor') return type.elemType !== 0;
  if (type.kind === 'sequence' || type.kind === 'optional') return type.element !== null && isComplete(type.element);
  return type.kind === 'map' && type.value !== null && isComplete(type.value);
}

/** What the file itself says of tensors, and where. */
export interface Declarations {
  get(name: string): DeclaredType | undefined;
}

/** What the file says of a tensor, and where. */
export interface DeclaredType {
  readonly borrow: OutputEdit['borrow'];
  readonly type: ValueType;
}

/**
 * What a file says of its tensors, graph outputs before value_info before graph inputs.
 * @param forgotten tensors of which it is not believed
 */
export function declarationsOf(
  { model: { graph }, columns }: Pick<GraphView, 'model' | 'columns'>,
  forgotten: ReadonlySet<string>,
): Declarations {
  const lists = { output: graph.outputs, valueInfo: graph.valueInfo, input: graph.inputs } as const;
  /** By the number of the tensor: the place of its declaration among those of all lists, behind 1. */
  const places = new Int32Array(columns.count);
  const others = new Map<string, number>();
  const declarations: DeclaredPlace[] = [];
  let place = 0;
  for (const list of ['output', 'valueInfo', 'input'] as const) {
    const infos = lists[list];
    const tensors = columns.tensorsOf(infos);
    for (let index = 0; index < infos.length; index++) {
      place++;
      const { type } = infos[index];
      if (type === null || ('elemType' in type && type.elemType === 0)) continue;
      if (tensors[index] >= 0) places[tensors[index]] ||= place;
      else if (!others.has(infos[index].name)) others.set(infos[index].name, place);
    }
    declarations.push({ list, end: place, infos });
  }
  return {
    get: (name) => {
      const found = forgotten.has(name) ? 0 : (places[columns.tensorOf.get(name) ?? -1] ?? others.get(name) ?? 0);
      return found === 0 ? undefined : declaredAt(declarations, found - 1);
    },
  };
}

/** One list of declarations; they end at a place among those of all lists. */
interface DeclaredPlace {
  readonly list: 'output' | 'valueInfo' | 'input';
  readonly end: number;
  readonly infos: readonly ValueInfo[];
}

function declaredAt(declarations: readonly DeclaredPlace[], place: number): DeclaredType | undefined {
  for (const { list, end, infos } of declarations) {
    const index = place - (end - infos.length);
    const type = place < end ? infos[index].type : null;
    if (type !== null) return { borrow: { list, index }, type };
  }
  return undefined;
}
