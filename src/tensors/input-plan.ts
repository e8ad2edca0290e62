import type { TensorValue } from '../onnx/tensor-value.js';
import { named, option } from '../options/words.js';
import { UsageError } from '../errors.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { conversionOf, convert } from './convert.js';
import { countedTogether, countRows, isBatched, isOneEntry } from './input-entries.js';
import type { InputItem, PlannedInput } from './input-item.js';
import {
  assertAnyLeft,
  collecting,
  Faults,
  openFiles,
  parseInputSpec,
  type FileOptions,
  type OpenedFile,
} from './input-files.js';
import type { LazyArray, RowRange } from './lazy-array.js';
import { DEFAULT_TENSOR_LIMITS, type TensorLimits } from './limits.js';
import { AUTO, recipeNamed } from '../preprocessing/find.js';
import { hasBatchAxis, pictureTaker, type Elsewhere, type ImageInput } from '../preprocessing/input.js';
import type { FoundRecipe, Preprocessing } from '../preprocessing/recipe.js';
import { settledFor, warningsOf, type ImageOptions } from '../preprocessing/settle.js';
import { SOUND_AS_IT_IS, type HeardFile, type SoundRecipe } from '../preprocessing/sound.js';
import { readText } from './beside-model.js';
import { PictureItem } from './picture-item.js';
import { randomEntries, randomTensor } from './random.js';
import { sampleMask, soundItem, soundWarnings, takesSampleMask, takesSound } from './sound-item.js';
import { targetOf } from './input-target.js';
import { describe, stackRows } from './tensor.js';

/** An input of a model: its name, and what is known of its dtype and shape. */
export type ModelInput = ImageInput;

/** How inputs are found, read and made. */
export interface InputOptions extends Pick<FileOptions, 'remote' | 'signal' | 'skip' | 'advice' | 'standardInput'> {
  readonly fileSystem?: FileSystem;
  readonly limits?: Partial<TensorLimits>;
  readonly image?: ImageOptions;
  /** How pictures are prepared for an input; what `image.preprocess` names, or ImageNet's, by default. */
  readonly recipe?: (input: ModelInput) => Promise<FoundRecipe>;
  /** Numbers for all dims of inputs that have symbolic ones, by name: the sizes of random values and pictures. */
  readonly shapes?: ReadonlyMap<string, readonly number[]>;
  /** How sound is prepared; as it is by default. */
  readonly sound?: () => Promise<SoundRecipe>;
  /** The inputs whose sizes the caller gave; those of others give way to the size that pictures are to have. */
  readonly given?: ReadonlySet<string>;
  /** What else the model takes, if it is asked. */
  readonly elsewhere?: () => readonly Elsewhere[];
  /** What else inputs are fed with, in front of random values. */
  readonly made?: readonly (readonly [ModelInput, InputItem])[];
}

/** Where the values of a run come from; nothing but headers has been read. */
export interface InputPlan {
  readonly inputs: readonly PlannedInput[];
  /** Entries along axis 0 that will be run. */
  readonly rows: number;
  /** The batch size that the model fixes, or null. */
  readonly fixedBatch: number | null;
  /** Every file, in order, once. */
  readonly files: readonly string[];
  /** Whether pictures come at their own sizes, so that several may not fit into one batch. */
  readonly ownSizes: boolean;
  /** How pictures are prepared, by input. */
  readonly preprocessing: ReadonlyMap<string, Preprocessing>;
  /** Files of sound, and how they are prepared. */
  readonly sounds: readonly HeardFile[];
  readonly warnings: readonly string[];
}

/**
 * Plans what feeds a model: `NAME=FILE`, FILE, directories, patterns and `random[:SEED]`. Files of one input stack
 * along axis 0 in order.
 * @param inputs the model's inputs without those that are initializers
 * @throws UsageError, IoError, ModelFormatError, UnsupportedModelError, PolicyError; every bad file is named in one
 * error
 */
export async function planInputs(
  specs: readonly string[],
  inputs: readonly ModelInput[],
  options: InputOptions = {},
): Promise<InputPlan> {
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const { skipped, skip } = collecting(options.skip);
  const context: Context = {
    inputs,
    options,
    limits: { ...DEFAULT_TENSOR_LIMITS, ...options.limits },
    faults: new Faults(skip),
    warn,
    preparing: remembered((input) => preparing(input, options, warn)),
    sounds: [],
  };
  const inputNames = inputs.map(({ name }) => name);
  const parsed = specs.map((spec) => parseInputSpec(spec, inputNames));
  const paths = parsed.flatMap((spec) => ('path' in spec ? [spec] : []));
  const opened = await openFiles(paths, {
    ...options,
    fs: options.fileSystem ?? nodeFileSystem,
    limits: context.limits,
    warn: context.warn,
    inputNames,
    skip,
    standardInput: options.standardInput,
  });
  const items = new Map<string, InputItem[]>(inputNames.map((name) => [name, []]));
  for (const file of opened) await context.faults.try(() => assign(file, items, context), file.path);
  context.faults.throwIfAny('inputs do not fit the model', opened.length > 1 ? options.advice : undefined);
  for (const [input, item] of options.made ?? []) add(items, input, item);
  addSampleMasks(items, inputs);
  for (const spec of parsed) if ('seed' in spec) addRandom(spec, items, context);
  if (skipped.length > 0 && [...items.values()].every((list) => list.length === 0)) assertAnyLeft(skipped);
  assertGiven(items, context);
  const pictures = [...items].flatMap(([name, list]) =>
    list.flatMap(({ picture }) => (picture === null ? [] : [[name, picture] as const])),
  );
  const single = new Set([
    ...inputs.filter(isOneEntry).map(({ name }) => name),
    ...pictures.flatMap(([name, { layout }]) => (hasBatchAxis(layout) ? [] : [name])),
  ]);
  const planned = countedTogether(
    inputs.map((input) => ({
      name: input.name,
      items: items.get(input.name) ?? [],
      isBatched: isBatched(input, inputs, single),
      hasBatchAxis: !single.has(input.name),
    })),
    inputs,
  );
  const { rows, fixedBatch } = countRows(planned, inputs);
  const files = [...new Set(opened.map(({ path }) => path))];
  return {
    inputs: planned,
    rows,
    fixedBatch,
    ownSizes:
      pictures.some(([, { height, width }]) => height === null || width === null) ||
      [...items.values()].flat().some(({ samples, rest }) => samples !== undefined && rest?.includes(null) === true),
    files,
    preprocessing: new Map(pictures),
    sounds: context.sounds,
    warnings: [...new Set([...warnings, ...soundWarnings(context.sounds)])],
  };
}

interface Context {
  readonly inputs: readonly ModelInput[];
  readonly options: InputOptions;
  readonly limits: TensorLimits;
  readonly faults: Faults;
  readonly warn: (message: string) => void;
  /** How pictures are prepared for an input: one record for all of them. */
  readonly preparing: (input: ModelInput) => Promise<Preprocessing>;
  readonly sounds: HeardFile[];
}

/** Asks once for each input. */
function remembered<T>(ask: (input: ModelInput) => Promise<T>): (input: ModelInput) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (input) => {
    const found = known.get(input.name) ?? ask(input);
    known.set(input.name, found);
    return found;
  };
}

/** Adds to what an input is fed with; entries of one input have one shape. */
function add(items: ReadonlyMap<string, InputItem[]>, { name }: ModelInput, item: InputItem): void {
  const [first] = items.get(name) ?? [];
  if (first !== undefined && (first.isEndless || item.isEndless))
    throw new UsageError(`input ${named(name)} gets random values and something else`, {
      hint: 'give it one or the other',
    });
  const isApart = first?.isAlone === true && first.rest?.length === item.rest?.length;
  if (first !== undefined && !isApart && String(first.rest) !== String(item.rest)) {
    throw new UsageError(
      `${item.file} has entries of ${entryText(item)}, ${first.file} of ${entryText(first)}: they cannot be stacked for input ${named(name)}`,
    );
  }
  items.get(name)?.push(item);
}

function entryText({ rest }: InputItem): string {
  return `shape [${(rest ?? []).map((dim) => dim ?? '?').join(', ')}]`;
}

/** Gives the arrays of a file to the inputs they are for. */
async function assign(file: OpenedFile, items: ReadonlyMap<string, InputItem[]>, context: Context): Promise<void> {
  const { path, arrays, kind } = file;
  if (kind === 'wave') {
    const input = targetOf(file, context.inputs, takesSound, context.options.elsewhere);
    const recipe = (await context.options.sound?.()) ?? SOUND_AS_IT_IS;
    const { item, facts } = await soundItem(file.access, input, recipe);
    context.sounds.push({ input: input.name, recipe, facts });
    add(items, input, item);
    return;
  }
  if (arrays === null) {
    const input = targetOf(file, context.inputs, pictureTaker(context.inputs), context.options.elsewhere);
    add(items, input, new PictureItem(path, file.access, await context.preparing(input), context.limits));
    return;
  }
  const pairs = pairsOf(file, arrays.arrays, context);
  for (const [input, array] of pairs) add(items, input, arrayItem(path, array, input, context));
  const extra = arrays.arrays.filter((array) => !pairs.some(([, used]) => used === array)).map(({ key }) => key);
  if (extra.length === 1) context.warn(`${path}: the array ${extra[0]} is not an input of the model and is left out`);
  if (extra.length > 1)
    context.warn(`${path}: the arrays ${extra.join(', ')} are not inputs of the model and are left out`);
}

function pairsOf(
  file: OpenedFile,
  arrays: readonly LazyArray[],
  context: Context,
): (readonly [ModelInput, LazyArray])[] {
  const { path, input } = file;
  const keys = arrays.map(({ key }) => key);
  if (arrays.length === 0) throw new UsageError(`${path} holds no array`, { path });
  if (input !== null) {
    const array = arrays.find(({ key }) => key === input) ?? (arrays.length === 1 ? arrays[0] : undefined);
    if (array === undefined) throw new UsageError(`${path} has no array ${input}; it has ${keys.join(', ')}`, { path });
    return [[targetOf(file, context.inputs, () => true), array]];
  }
  const byName = context.inputs.flatMap((candidate) => {
    const array = arrays.find(({ key }) => key === candidate.name);
    return array === undefined ? [] : [[candidate, array] as const];
  });
  if (byName.length > 0) return byName;
  if (arrays.length === 1) return [[targetOf(file, context.inputs, () => true), arrays[0]]];
  throw new UsageError(
    `${path} has the arrays ${keys.join(', ')}, and none is named as an input of the model (${context.inputs.map(({ name }) => named(name)).join(', ')})`,
    {
      path,
      hint: 'rename the arrays, or save them in files of their own and give NAME=FILE',
    },
  );
}

/** How pictures are prepared for an input. */
async function preparing(
  input: ModelInput,
  { recipe, image, given, shapes, fileSystem = nodeFileSystem }: InputOptions,
  warn: Context['warn'],
): Promise<Preprocessing> {
  const read = (path: string): Promise<string> => readText(path, fileSystem);
  const found = await (recipe?.(input) ?? recipeNamed(image?.preprocess ?? AUTO, read));
  const sizes = { numbers: shapes?.get(input.name), isGiven: given?.has(input.name) === true };
  const to = settledFor(input, found, sizes, image);
  warningsOf(found, to).forEach(warn);
  return to;
}

/** The input with numbers for its symbolic dims. */
function withNumbers(input: ModelInput, { options }: Context): ModelInput {
  const numbers = options.shapes?.get(input.name);
  return input.shape === null
    ? { ...input, shape: numbers ?? null }
    : { ...input, shape: input.shape.map((dim, axis) => (typeof dim === 'number' ? dim : (numbers?.[axis] ?? dim))) };
}

/**
 * An array as entries of an input: checked against its shape, converted to its dtype; one that lacks axis 0 is one
 * entry.
 */
function arrayItem(path: string, array: LazyArray, input: ModelInput, { warn }: Context): InputItem {
  const { dtype, shape } = array;
  const place = array.key === '' ? path : `${path} (${array.key})`;
  const wanted = input.dtype ?? dtype;
  const conversion = conversionOf(dtype, wanted);
  if (conversion === null)
    throw new UsageError(`${place} is ${dtype}, and input ${named(input.name)} takes ${wanted}`, {
      path,
      hint: `save it as ${wanted}`,
    });
  if (conversion === 'rounded') warn(`${dtype} values are rounded to ${wanted} for input ${named(input.name)}`);
  const isAlone = isOneEntry(input);
  const axes = input.shape === null ? null : [...(isAlone ? [null] : []), ...input.shape];
  const lacksAxis = axes !== null && shape.length === axes.length - 1;
  const full = lacksAxis ? [1, ...shape] : shape;
  const isFit =
    axes === null ||
    (full.length === axes.length &&
      axes.every((dim, axis) => axis === 0 || typeof dim !== 'number' || dim === full[axis]));
  if (!isFit)
    throw new UsageError(
      `${place} is ${describe(array)}, and input ${named(input.name)} takes ${describe({ dtype: wanted, shape: input.shape ?? [] })}`,
      { path },
    );
  const whole = async (): Promise<TensorValue> => ({ ...(await array.read()), shape: full });
  const read = async (rows: RowRange): Promise<TensorValue> =>
    convert(lacksAxis || full.length === 0 ? await whole() : await array.read(rows), wanted);
  const rest = full.length === 0 ? null : full.slice(1);
  return { file: path, rows: full[0] ?? 1, isEndless: false, rest, isAlone, picture: null, read };
}

/** Says of files of sound that all their samples count, where the model asks: each is run at its own length. */
function addSampleMasks(items: ReadonlyMap<string, InputItem[]>, inputs: readonly ModelInput[]): void {
  const mask = inputs.find((input) => takesSampleMask(input) && items.get(input.name)?.length === 0);
  const clips = [...items.values()].find((list) => list.some(({ samples }) => samples !== undefined));
  if (mask === undefined || clips === undefined) return;
  for (const clip of clips) if (clip.samples !== undefined) add(items, mask, sampleMask(clip, clip.samples, mask));
}

function addRandom(
  spec: { readonly input: string | null; readonly seed: number },
  items: ReadonlyMap<string, InputItem[]>,
  context: Context,
): void {
  const targets =
    spec.input === null
      ? context.inputs.filter(({ name }) => items.get(name)?.length === 0)
      : context.inputs.filter(({ name }) => name === spec.input);
  if (targets.length === 0)
    throw new UsageError(`${option('inputs', ['random'])} has no input left to fill`, {
      hint: 'leave it out, or name an input: NAME=random',
    });
  const shapes = concreteShapes(targets, context);
  for (const input of targets) add(items, input, randomItem(input, shapes.get(input.name) ?? [], spec.seed));
}

function randomItem(input: ModelInput, shape: readonly number[], seed: number): InputItem {
  const dtype = input.dtype ?? 'float32';
  const isAlone = isOneEntry(input);
  const [rows, ...rest] = isAlone ? [1, ...shape] : shape;
  if (rows === undefined)
    return {
      file: null,
      rows: 1,
      isEndless: true,
      rest: null,
      isAlone,
      picture: null,
      read: async () => randomTensor(dtype, [], seed, input.name),
    };
  const read = async (range: RowRange): Promise<TensorValue> =>
    stackRows(randomEntries({ dtype, rest, seed, name: input.name }, range));
  return { file: null, rows, isEndless: true, rest, isAlone, picture: null, read };
}

/** @throws UsageError naming every input that lacks a number */
function concreteShapes(inputs: readonly ModelInput[], context: Context): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  const open: ModelInput[] = [];
  for (const { name, dtype, shape } of inputs.map((input) => withNumbers(input, context))) {
    const numbers = shape?.flatMap((dim) => (typeof dim === 'number' ? [dim] : []));
    if (shape !== null && numbers?.length === shape.length) shapes.set(name, numbers);
    else open.push({ name, dtype, shape });
  }
  if (open.length === 0) return shapes;
  const list = open.map(({ name, dtype, shape }) =>
    shape === null
      ? `${named(name)} (of unknown rank)`
      : `${named(name)} (${describe({ dtype: dtype ?? '?', shape })})`,
  );
  const proposal = open.map(
    ({ name, shape }) => [name, (shape ?? [1, 3, 224, 224]).map((dim) => (typeof dim === 'number' ? dim : 1))] as const,
  );
  throw new UsageError(`random values have no shape for ${list.join(', ')}`, {
    hint: `say it with ${option('inputShapes', Object.fromEntries(proposal))}`,
  });
}

function assertGiven(items: ReadonlyMap<string, readonly InputItem[]>, { inputs }: Context): void {
  const missing = inputs.filter(({ name }) => items.get(name)?.length === 0);
  if (missing.length === 0) return;
  const list = missing
    .map(({ name, dtype, shape }) => `${named(name)} (${describe({ dtype: dtype ?? '?', shape: shape ?? [] })})`)
    .join(', ');
  throw new UsageError(`no ${option('inputs')} for ${list}`, {
    code: 'FEATX_USAGE_INPUT',
    hint: `give ${option(
      'inputs',
      missing.map(({ name }) => `${name}=FILE`),
    )}, or ${option('inputs', ['random'])}`,
  });
}
