import { viewGraph, type GraphView } from '../../../onnx/graph.js';
import { indexModel } from '../../../onnx/model.js';
import { CONFIG_NAMES } from '../../../preprocessing/config-names.js';
import { AUTO, findRecipe, type RecipeSources } from '../../../preprocessing/find.js';
import type { ImageInput } from '../../../preprocessing/input.js';
import { LARGEST_SIDE, type Preprocessing } from '../../../preprocessing/recipe.js';
import { settled } from '../../../preprocessing/settle.js';
import { soundRecipe } from '../../../preprocessing/sound.js';
import { PREPROCESS_KEY, writtenRecipes } from '../../../preprocessing/stored.js';
import { pictureTensor } from '../../../tensors/picture-tensor.js';
import { declaredPooling } from '../../../tensors/pooling-files.js';
import { TextTokenizer } from '../../../tensors/tokenize.js';
import { decodeText } from '../../../wire/text.js';
import { encodeModel } from '../../model-builder.js';
import { node, value } from '../../model-spec.js';
import { isRecord } from '../../../options/schema.js';
import { parseJson } from '../../../wire/json.js';
import { mutateBytes } from '../mutate-bytes.js';
import { mutateJson } from '../mutate-json.js';
import type { Random } from '../random.js';
import { codeOf, Violation, type Target } from '../target.js';
import { joined } from '../tree.js';
import { PREPROCESS_WORDS, type PreprocessSeeds } from './preprocess-seeds.js';

const encoder = new TextEncoder();

/** What an input is, as its first byte says: a file beside a model, metadata, or the files of a tokenizer. */
const KINDS = [...CONFIG_NAMES, 'metadata', 'stored', 'tokenizer', 'own words'] as const;
type InputKind = (typeof KINDS)[number];

const INPUTS: readonly ImageInput[] = [
  { name: 'x', dtype: 'float32', shape: [1, 3, null, null] },
  { name: 'x', dtype: 'float16', shape: ['n', 32, 40, 3] },
  { name: 'x', dtype: 'float32', shape: [1, 1, 'h', 'w'] },
  { name: 'x', dtype: 'uint8', shape: [1, 3, 24, 24] },
];
const PICTURE = { width: 9, height: 5, data: Uint8Array.from({ length: 9 * 5 * 3 }, (_empty, at) => (at * 37) & 255) };
/** Larger pictures cost too much here. */
const LARGEST_DRAWN = 128;
/** More than the inputs of the seeds are long. */
const MOST_TOKENS = 100_000;
const TEXTS = ['a', '', 'the quick brown fox', 'Ünïcödé 名前 😀', ' \u0085\ufeff'];

/**
 * Files and metadata that say how pictures, sounds and texts are prepared: refused with an error that names the file,
 * or good for numbers that a network can be given.
 */
export function preprocessTarget(seeds: PreprocessSeeds): Target {
  let view: Promise<GraphView> | null = null;
  return {
    name: 'preprocess',
    shape: { prefix: 1, type: null },
    deepOnceIn: 4,
    input: (random) => mutatedFile(seeds, random),
    run: async (bytes, deep) => {
      const kind = KINDS[bytes[0] % KINDS.length];
      const text = decodeText(bytes.subarray(1));
      view ??= smallNetwork();
      try {
        return kind === 'tokenizer' ? await readTokenizer(text) : await readRecipe(kind, text, await view, deep);
      } catch (error) {
        return codeOf(error);
      }
    },
  };
}

async function smallNetwork(): Promise<GraphView> {
  const graph = {
    inputs: [value('x', [1, 3, null, null])],
    nodes: [node('Relu', ['x'], ['y'])],
    outputs: [value('y', null)],
  };
  return viewGraph(await indexModel(encodeModel({ graph })));
}

async function readRecipe(kind: InputKind, text: string, view: GraphView, deep: boolean): Promise<string> {
  const isFile = CONFIG_NAMES.some((name) => name === kind);
  const path = kind === 'own words' ? 'dir/own.json' : `dir/${kind}`;
  const sources: RecipeSources = {
    metadata: async () =>
      kind === 'stored' ? new Map([[PREPROCESS_KEY, text]]) : kind === 'metadata' ? entriesOf(text) : new Map(),
    beside: async () => (isFile ? [{ path, text }] : []),
    view,
    numbersOf: async () => () => null,
    read: async () => text,
  };
  const codes = new Set<string>();
  for (const input of INPUTS) {
    try {
      const found = await findRecipe(input, kind === 'own words' ? path : AUTO, sources);
      const to = settled(input, found);
      assertUsable(to);
      if (deep) assertDrawn(to);
      codes.add(found.source);
      if (kind === 'stored') continue;
      // A cut that says it of its input says it again.
      const again = await findRecipe(input, AUTO, {
        ...sources,
        metadata: async () => new Map([[PREPROCESS_KEY, writtenRecipes([{ input: input.name, ...found }])]]),
      });
      if (JSON.stringify(again.recipe) !== JSON.stringify(found.recipe) && found.source !== 'graph')
        throw new Violation(
          'recipe-changes-when-written',
          `${JSON.stringify(found.recipe)} ${JSON.stringify(again.recipe)}`,
        );
    } catch (error) {
      codes.add(codeOf(error));
    }
  }
  if (isFile) codes.add(`sound ${await attempted(async () => soundRecipe([{ path, text }]).source)}`);
  return codes.has('file') || codes.has('metadata') ? 'ok' : [...codes].join(' ');
}

async function attempted(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    return codeOf(error);
  }
}

/** What a network can be given. @throws Violation */
function assertUsable({ scale, mean, std, crop, resize, fill, height, width }: Preprocessing): void {
  const sides = [height, width, ...(resize === null ? [] : [resize].flat())];
  const isSide = (side: number | null): boolean =>
    side === null || (Number.isInteger(side) && side >= 1 && side <= LARGEST_SIDE);
  const wrong = !(Number.isFinite(scale) && scale > 0)
    ? `scale ${scale}`
    : mean !== null && !mean.every(Number.isFinite)
      ? `mean ${mean.join()}`
      : std !== null && !std.every((one) => Number.isFinite(one) && one > 0)
        ? `std ${std.join()}`
        : !(crop > 0 && crop <= 1)
          ? `crop ${crop}`
          : !sides.every(isSide)
            ? `sides ${sides.join()}`
            : !fill.every((one) => Number.isInteger(one) && one >= 0 && one <= 255)
              ? `fill ${fill.join()}`
              : null;
  if (wrong !== null) throw new Violation('recipe-that-nobody-can-follow', wrong);
}

/** A small picture, prepared. */
function assertDrawn(to: Preprocessing): void {
  const sides = [to.height ?? 1, to.width ?? 1, ...(to.resize === null ? [] : [to.resize].flat())];
  if (sides.some((side) => side > LARGEST_DRAWN)) return;
  const { data, shape } = pictureTensor(PICTURE, to);
  const count = shape.reduce((product, dim) => product * dim, 1);
  if (data.length !== count)
    throw new Violation('picture-of-another-size', `${data.length} values for ${shape.join()}`);
  if (data instanceof Float32Array && !data.every(Number.isFinite))
    throw new Violation('picture-that-is-not-numbers', JSON.stringify(to).slice(0, 300));
}

function entriesOf(text: string): ReadonlyMap<string, string> {
  try {
    const said = parseJson(text);
    return new Map(
      isRecord(said)
        ? Object.entries(said).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
        : [],
    );
  } catch {
    return new Map([
      ['names', text],
      ['stride', text],
      ['imgsz', text],
    ]);
  }
}

/** The files beside a model of texts, by name, as one JSON text. */
async function readTokenizer(text: string): Promise<string> {
  const files = entriesOf(text);
  const beside = async (name: string): Promise<{ readonly path: string; readonly text: string } | null> => {
    const content = files.get(name);
    return content === undefined ? null : { path: `dir/${name}`, text: content };
  };
  const pooling = await attempted(async () => (await declaredPooling(beside))?.pool ?? 'none');
  const tokenizer = await TextTokenizer.load(beside);
  if (tokenizer === null) return `no tokenizer, ${pooling}`;
  const { length, ids, masks, types } = tokenizer.encode(TEXTS);
  for (const row of [...ids, ...masks, ...types])
    if (row.length !== length || length > MOST_TOKENS || !row.every((id) => Number.isSafeInteger(id)))
      throw new Violation('tokens-that-are-no-batch', `${row.length} of ${length}`);
  return pooling.startsWith('FEATX') ? pooling : 'ok';
}

function mutatedFile(seeds: PreprocessSeeds, random: Random): Uint8Array {
  const kind = random.below(KINDS.length);
  const name = KINDS[kind];
  let bytes: Uint8Array;
  if (/\.ya?ml$/.test(name)) {
    bytes = encoder.encode(random.pick(seeds.yaml));
    const donor = encoder.encode(random.pick(seeds.yaml));
    for (let count = 1 + random.below(4); count > 0; count--)
      bytes = random.once(2) ? mutateBytes(bytes, random, donor) : mutatedLines(bytes, random);
  } else if (name === 'tokenizer') bytes = mutatedTokenizer(seeds, random);
  else {
    const own = name === 'metadata' ? seeds.metadata : name === 'stored' ? seeds.stored : seeds.json;
    let said = random.pick(own);
    for (let count = 1 + random.below(4); count > 0; count--)
      said = mutateJson(said, random, random.pick(own), PREPROCESS_WORDS);
    bytes = encoder.encode(JSON.stringify(said));
    if (random.once(8)) bytes = mutateBytes(bytes, random, bytes);
  }
  return joined([Uint8Array.of(kind), bytes]);
}

/** A line that is left out, moved, doubled or indented otherwise. */
function mutatedLines(bytes: Uint8Array, random: Random): Uint8Array {
  const lines = decodeText(bytes).split('\n');
  const at = random.below(lines.length);
  const line = lines[at];
  const to = random.below(lines.length);
  const changed = [
    () => lines.splice(at, 1),
    () => lines.splice(to, 0, line),
    () => lines.splice(at, 1, `${' '.repeat(1 + random.below(5))}${line}`),
    () => lines.splice(at, 1, line.trimStart()),
    () => lines.splice(at, 1, line.replace(/:.*$/, `: ${JSON.stringify(random.pick(PREPROCESS_WORDS.values))}`)),
  ];
  random.pick(changed)();
  return encoder.encode(lines.join('\n'));
}

/** One of the files of a model changes, seldom several. */
function mutatedTokenizer({ tokenizers }: PreprocessSeeds, random: Random): Uint8Array {
  const files: { [name: string]: string } = {};
  const seed = random.pick(tokenizers);
  const names = Object.keys(seed);
  const changes = new Set(Array.from({ length: 1 + random.below(2) }, () => random.pick(names)));
  for (const name of names) {
    let said = seed[name];
    const donor = random.pick(tokenizers)[name] ?? said;
    if (changes.has(name))
      for (let count = 1 + random.below(3); count > 0; count--)
        said = mutateJson(said, random, donor, PREPROCESS_WORDS);
    files[name] = JSON.stringify(said);
    if (changes.has(name) && random.once(12))
      files[name] = decodeText(mutateBytes(encoder.encode(files[name]), random, encoder.encode(files[name])));
  }
  if (random.once(6)) delete files[random.pick(names)];
  return encoder.encode(JSON.stringify(files));
}
