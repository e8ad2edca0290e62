import { mkdtemp, rm, writeFile as writeBytes, copyFile, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { tensorsOf, viewGraph, type GraphView } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/records.js';
import { declaredTypes } from '../onnx/types.js';
import { openModel } from '../open.js';
import type { GraphEdit } from '../rewrite/edit.js';
import { planRewrite, type Plan } from '../rewrite/plan.js';
import { DEFAULT_PLAN, type PlanOptions, type Tap } from '../rewrite/tap.js';
import { splice } from '../rewrite/splice.js';
import { DEFAULT_ALIGN, planWeights, type WeightsMode } from '../rewrite/weights.js';
import { materialize } from '../wire/pieces.js';
import { DirectorySidecars } from '../wire/sidecar-files.js';
import { seededFloats, seededRandom } from './random.js';
import { feedsFor, runFile, type Outputs } from './ort.js';

/** A model in a folder of its own, with seeded weights in place of missing ones. */
export interface Bench {
  readonly model: OnnxModel;
  readonly view: GraphView;
  readonly path: string;
  dispose(): Promise<void>;
}

/** Copies a model into a temporary folder and writes the sidecars that it names and that do not exist. */
export async function benchOf(source: string): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'featx-test-'));
  const path = join(folder, basename(source));
  await copyFile(source, path);
  const model = await openModel(path);
  await writeSeededSidecars(model, folder);
  const dispose = async (): Promise<void> => {
    await model[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  };
  return { model, view: viewGraph(model), path, dispose };
}

async function writeSeededSidecars(model: OnnxModel, folder: string): Promise<void> {
  const handles = new Map<string, Awaited<ReturnType<typeof open>>>();
  let seed = 1;
  for (const tensor of tensorsOf(model)) {
    if (tensor.external === null) continue;
    const entry = new Map(tensor.external.map(({ key, value }) => [key, value]));
    const location = entry.get('location') ?? '';
    const handle = handles.get(location) ?? (await open(join(folder, location), 'w'));
    handles.set(location, handle);
    const length = Number(entry.get('length'));
    // Gain near 1 through any depth: values neither vanish nor overflow.
    const fanIn = Math.max(1, length / 4 / Math.max(1, tensor.dims[0] ?? 1));
    const bytes =
      tensor.dataType === 1
        ? new Uint8Array(seededFloats(length / 4, seed++, Math.min(1, Math.sqrt(3 / fanIn))).buffer)
        : new Uint8Array(length);
    await handle.write(bytes, 0, length, Number(entry.get('offset') ?? 0));
  }
  for (const handle of handles.values()) await handle.close();
}

/** A tap of one tensor, by name. */
export function tapOf(view: GraphView, tensor: string, index: number | null = null): Tap {
  const type = declaredTypes(view.model).get(tensor);
  return {
    index,
    module: null,
    tensors: [tensor],
    numChs: null,
    reduction: null,
    dtype: type?.dtype ?? null,
    shape: type?.shape ?? null,
    layout: null,
    prefixTokens: 0,
    grid: null,
  };
}

export interface Cut {
  readonly plan: Plan;
  readonly bytes: Uint8Array;
  /** Written beside the model, under `name`. */
  readonly path: string;
}

/** Plans, splices and writes a cut beside the model. */
export async function cut(
  { model, view, path }: Bench,
  taps: readonly Tap[],
  options: Partial<PlanOptions> = {},
  weights: WeightsMode = 'keep',
  name = 'cut.onnx',
): Promise<Cut> {
  const plan = planRewrite(view, declaredTypes(model), taps, { ...DEFAULT_PLAN, ...options });
  return { plan, ...(await write({ model, path }, plan.edit, weights, name)) };
}

async function write(
  { model, path }: Pick<Bench, 'model' | 'path'>,
  edit: GraphEdit,
  mode: WeightsMode,
  name: string,
): Promise<{ bytes: Uint8Array; path: string }> {
  const files = new DirectorySidecars(path);
  try {
    const weights = await planWeights(model, edit, files, {
      mode,
      sameDirectory: true,
      align: DEFAULT_ALIGN,
      sourceName: basename(path),
      warn: () => undefined,
    });
    let { contents } = weights;
    if (weights.sidecar !== null) {
      await writeBytes(join(dirname(path), `${name}.data`), await materialize(model.source, weights.sidecar.pieces));
      contents = weights.sidecar.contents(`${name}.data`);
    }
    const bytes = await materialize(model.source, splice(model, edit, contents));
    const target = join(dirname(path), name);
    await writeBytes(target, bytes);
    return { bytes, path: target };
  } finally {
    await files.close();
  }
}

/** Every tensor that a node makes. */
export function madeTensors({ producerOf }: GraphView): readonly string[] {
  return [...producerOf.keys()];
}

/** A seeded choice without repetition. */
export function sample<T>(items: readonly T[], count: number, seed: number): readonly T[] {
  const random = seededRandom(seed);
  const left = [...items];
  const chosen: T[] = [];
  while (chosen.length < count && left.length > 0) chosen.push(...left.splice(Math.floor(random() * left.length), 1));
  return chosen;
}

export interface EquivalenceFinding {
  readonly check: string;
  readonly tensor: string;
}

/**
 * Hooks every tensor at once, then single taps in every mode and weights mode; returns what was not bit-equal to the
 * same tensor in the hooked whole model. The old outputs must not change either.
 *
 * ONNX Runtime's CPU has no float16 kernels: it computes in float32 and rounds where a tensor leaves the graph, so that
 * tapping one float16 tensor moves what follows it. There, a cut is compared bit for bit with the hook of the same
 * tensor alone, and old outputs within rounding.
 */
export async function findDifferences(
  bench: Bench,
  singleTaps: number,
  seed: number,
): Promise<readonly EquivalenceFinding[]> {
  const { model, view, path } = bench;
  const feeds = feedsFor(model);
  const findings: EquivalenceFinding[] = [];
  const isHalf = model.graph.initializers.some(({ dataType }) => dataType === 10);
  const same = (got: Outputs, name: string, want: Outputs, as: string, rounding: boolean): boolean => {
    const a = got.get(name);
    const b = want.get(as);
    return a !== undefined && b !== undefined && (Buffer.compare(a, b) === 0 || (rounding && closeHalves(a, b)));
  };
  const original = await runFile(path, feeds);
  const names = madeTensors(view);
  const hooked = await cut(
    bench,
    names.map((name) => tapOf(view, name)),
    { mode: 'hook', rewrite: false },
  );
  const all = await runFile(hooked.path, feeds);
  for (const name of original.keys())
    if (!same(all, name, original, name, isHalf))
      findings.push({ check: 'hook of every tensor: old outputs', tensor: name });
  for (const name of names) if (!all.has(name)) findings.push({ check: 'hook of every tensor: missing', tensor: name });
  const inline = [...tensorsOf(model)].some(({ payloads }) => payloads.some(({ start, end }) => end - start > 1024));
  type Way = readonly [check: string, options: Partial<PlanOptions>, weights: WeightsMode];
  const reference: readonly Way[] = inline ? [['reference', { mode: 'dict' }, 'reference']] : [];
  const ways: readonly Way[] = [
    ['dict', { mode: 'dict' }, 'keep'],
    ['list', { mode: 'list' }, 'keep'],
    ['hook --rewrite --keep-outputs', { mode: 'hook', keepOutputs: true }, 'keep'],
    ...reference,
    ['embed', { mode: 'list' }, 'embed'],
    ['external', { mode: 'list' }, 'external'],
  ];
  for (const [position, tensor] of sample(names, singleTaps, seed).entries()) {
    const tap = tapOf(view, tensor, 0);
    const hook = await runFile((await cut(bench, [tap], { mode: 'hook', rewrite: false })).path, feeds);
    for (const name of original.keys())
      if (!same(hook, name, original, name, isHalf)) findings.push({ check: 'hook: old outputs', tensor: name });
    if (!same(hook, tensor, isHalf ? hook : all, tensor, false)) findings.push({ check: 'hook', tensor });
    const [check, options, weights] = ways[position % ways.length];
    const { path: file, plan } = await cut(bench, [tap], options, weights);
    const got = await runFile(file, feeds);
    if (!same(got, plan.outputs[0].output, isHalf ? hook : all, tensor, false)) findings.push({ check, tensor });
    if (options.keepOutputs)
      for (const name of original.keys())
        if (!same(got, name, original, name, isHalf)) findings.push({ check: `${check}: old outputs`, tensor: name });
  }
  return findings;
}

/** Whether two float16 arrays differ by rounding alone: at most 8 units in the last place of the larger magnitudes. */
function closeHalves(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  const left = new DataView(a.buffer, a.byteOffset, a.byteLength);
  const right = new DataView(b.buffer, b.byteOffset, b.byteLength);
  let largest = 0;
  let difference = 0;
  for (let at = 0; at + 2 <= a.length; at += 2) {
    const x = halfToNumber(left.getUint16(at, true));
    const y = halfToNumber(right.getUint16(at, true));
    largest = Math.max(largest, Math.abs(x), Math.abs(y));
    difference = Math.max(difference, Math.abs(x - y));
  }
  return difference <= 8 * 2 ** -10 * largest;
}

function halfToNumber(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const magnitude =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Infinity
          : NaN
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -magnitude : magnitude;
}
