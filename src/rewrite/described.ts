import type { Feature, Resolution } from '../features/feature.js';
import {
  FEATURE_INFO_KEY,
  storedCodes,
  storedFeature,
  type StoredBefore,
  type StoredFeature,
  type StoredInfo,
  type StoredOutput,
  type StoredPart,
} from '../features/stored-info.js';
import { readStoredInfo } from '../features/resolvers/metadata.js';
import { UsageError } from '../errors.js';
import { option } from '../options/words.js';
import { fingerprint, REFERENCE_KEY, type ReferenceRecord } from '../onnx/fingerprint.js';
import type { GraphView } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/records.js';
import type { InferredTypes } from '../onnx/types.js';
import type { GraphEdit } from './edit.js';
import type { FoundRecipe, Recipe } from '../preprocessing/recipe.js';
import { PREPROCESS_KEY, writtenRecipes, type CutRecipe } from '../preprocessing/stored.js';
import { cutFeatures, type Plan } from './plan.js';
import type { Resized } from './sizes.js';
import type { BeforeSteps, BuiltTap, Tap } from './tap.js';
import type { StepRecord } from './steps.js';
import type { WeightsPlan } from './weights.js';

/** What a cut is described from. */
export interface Describing {
  readonly view: GraphView;
  readonly types: InferredTypes;
  readonly resolution: Resolution;
  readonly plan: Plan;
  readonly resized: Resized | null;
  /** How pictures are prepared for inputs of the model, by name. */
  readonly pictures: ReadonlyMap<string, FoundRecipe>;
}

/**
 * The edit of a plan with what the cut says of itself: its features, and the file that a reference cut points into.
 * @param original the name of that file
 */
export async function describedEdit(
  describing: Describing,
  weights: WeightsPlan,
  original: string | null,
): Promise<GraphEdit> {
  const { edit } = describing.plan;
  return {
    ...edit,
    drop: { ...edit.drop, metadata: weights.keepsExternal ? [] : referenceEntries(describing.view.model) },
    setMetadata: await metadata(describing, weights.isReference ? original : null),
  };
}

/** What the cut says of itself. */
async function metadata(
  { view, types, resolution, plan, resized, pictures }: Describing,
  original: string | null,
): Promise<GraphEdit['setMetadata']> {
  const stored = (features: readonly Feature[]): readonly StoredFeature[] =>
    cutFeatures(view, features, plan.edit).map((feature) => ({
      ...storedFeature(feature),
      grid: isProven(types, feature.tensor) ? feature.grid : null,
    }));
  const { features, groups, embeddings } = resolution;
  const before = await readStoredInfo(view.model);
  const earlier = new Map((before?.outputs ?? []).map((each) => [each.output, each]));
  // A model that stays whole still gives what it gave.
  const isWhole = plan.outputs.length === 0 && plan.begun === null;
  const info: StoredInfo = {
    schema: 1,
    feature_info: stored(features),
    ...(groups.length === 0
      ? {}
      : { groups: groups.map(({ name, features: list }) => ({ name, features: stored(list) })) }),
    out_indices: isWhole
      ? (before?.out_indices ?? resolution.outIndices)
      : plan.outputs.flatMap(({ tap, parts = [{ tap }] }) =>
          parts.flatMap(({ tap: { group, index } }) => (group == null ? (index ?? []) : [])),
        ),
    outputs: isWhole
      ? (before?.outputs ?? [])
      : plan.outputs.map(
          ({ tap, output, layout, prefixTokens, converted, before: begun, steps, parts }): StoredOutput => ({
            ...storedTap(embeddings, tap),
            output,
            layout,
            prefix_tokens: prefixTokens,
            converted,
            ...stepsDone(tap, steps),
            ...(parts !== undefined
              ? { parts: parts.map((part) => storedPart(embeddings, part)) }
              : tap.done !== undefined
                ? originOf(earlier.get(tap.tensors[0]))
                : steps.length === 0
                  ? {}
                  : { before: storedBefore(begun) }),
          }),
        ),
    ...enteringOf(plan),
    ...(resized === null ? {} : { dims: sizesOf(resized) }),
    ...(await preparedInside(view, plan)),
  };
  const recipes = recipesOfCut({ view, plan, pictures });
  const entries = [
    { key: FEATURE_INFO_KEY, value: JSON.stringify(info) },
    ...(recipes.length === 0 ? [] : [{ key: PREPROCESS_KEY, value: writtenRecipes(recipes) }]),
  ];
  if (original === null) return entries;
  const record: ReferenceRecord = {
    schema: 1,
    file: original,
    size_bytes: view.model.source.size,
    sha256: await fingerprint(view.model),
  };
  return [...entries, { key: REFERENCE_KEY, value: JSON.stringify(record) }];
}

/** What the inputs of a cut stand for, where they are not the inputs of their names in the original. */
function enteringOf({ begun, renamed }: Plan): Pick<StoredInfo, 'inputs'> {
  const inputs = [
    ...renamed,
    ...(begun?.from ?? []).flatMap(({ tensor, input, source }) =>
      source !== 'input' && tensor === input ? [{ input, tensor }] : [],
    ),
  ];
  return inputs.length === 0 ? {} : { inputs };
}

/** What pixels go through inside: what is new, or what a cut before this one did. */
async function preparedInside({ model }: GraphView, { pixels, edit }: Plan): Promise<Pick<StoredInfo, 'preprocess'>> {
  const gone = new Set(edit.drop.inputs.map((index) => model.graph.inputs[index].name));
  const before = (await readStoredInfo(model))?.preprocess?.filter(({ input }) => !gone.has(input)) ?? [];
  const all = [...before, ...(pixels === null ? [] : [{ ...pixels }])];
  return all.length === 0 ? {} : { preprocess: all };
}

/** How pictures are prepared for the inputs that a cut has of its original: what is not done inside is left to do. */
export function recipesOfCut({
  view: { model },
  plan: { pixels, renamed, edit },
  pictures,
}: Pick<Describing, 'view' | 'plan' | 'pictures'>): readonly CutRecipe[] {
  const gone = new Set(edit.drop.inputs.map((index) => model.graph.inputs[index].name));
  return [...pictures].flatMap(([name, found]): CutRecipe[] => {
    if (pixels?.tensor === name)
      return [{ ...found, input: pixels.input, preset: null, recipe: leftToDo(found.recipe, pixels) }];
    const input = renamed.find(({ tensor }) => tensor === name)?.input;
    return input === undefined && gone.has(name) ? [] : [{ ...found, input: input ?? name }];
  });
}

/** What is to be done with pictures in front of a cut that takes their pixels. */
function leftToDo(recipe: Recipe, { channels, resize }: NonNullable<Plan['pixels']>): Recipe {
  const pixels: Recipe = {
    ...recipe,
    scale: 1,
    mean: null,
    std: null,
    channels: channels.startsWith('bgr') ? 'bgr' : 'rgb',
  };
  return resize === null ? pixels : { ...pixels, size: null, resize: null, fit: 'shortest', crop: 1 };
}

/** Which feature a tap is. */
function storedTap(embeddings: Resolution['embeddings'], tap: Tap): Omit<StoredPart, 'before'> {
  return {
    index: tap.index,
    ...(tap.group == null ? {} : { group: tap.group }),
    ...roleOf(embeddings, tap),
    module: tap.module,
    tensor: tap.tensors[0],
    ...(tap.asValue && tap.codes != null ? { codes: storedCodes(tap.codes) } : {}),
    ...(tap.asValue && tap.blocked != null ? { blocked: tap.blocked } : {}),
    ...(tap.asFloat ? { cast_from: tap.dtype ?? '' } : {}),
  };
}

/** What an output of a cut was computed of, for a cut of that cut. */
function originOf(stored: StoredOutput | undefined): Partial<Pick<StoredOutput, 'tensor' | 'before' | 'parts'>> {
  if (stored === undefined) return {};
  const { tensor, before, parts } = stored;
  return { tensor, ...(before === undefined ? {} : { before }), ...(parts === undefined ? {} : { parts }) };
}

function storedPart(embeddings: Resolution['embeddings'], { tap, before, steps }: BuiltTap): StoredPart {
  return {
    ...storedTap(embeddings, tap),
    ...stepsDone(tap, steps),
    before: storedBefore(before),
  };
}

/** What was computed of a feature, when the model was cut before too. */
function stepsDone({ done = [] }: Tap, steps: readonly StepRecord[]): Pick<StoredOutput, 'steps'> {
  const all = [...done, ...steps].map((step) => ({ ...step }));
  return all.length === 0 ? {} : { steps: all };
}

function storedBefore({ tensor, layout, prefixTokens, converted }: BeforeSteps): StoredBefore {
  return { tensor, layout, prefix_tokens: prefixTokens, converted };
}

/** The axes of inputs that have numbers in the cut and none in the original. */
function sizesOf({ model, dims }: Resized): NonNullable<StoredInfo['dims']> {
  return dims.flatMap(({ at }) =>
    at.flatMap(({ input, axis }) => {
      const type = model.graph.inputs.find(({ name }) => name === input)?.type;
      const size = type?.kind === 'tensor' ? type.shape?.[axis] : undefined;
      return typeof size === 'number' ? [{ input, axis, size }] : [];
    }),
  );
}

/** The role of a tap that is one of the model's embeddings. */
function roleOf(embeddings: Resolution['embeddings'], { tensors, index }: Tap): Pick<StoredOutput, 'embedding'> {
  const found = index === null && tensors.length === 1 && embeddings.find(({ tensor }) => tensor === tensors[0]);
  return found ? { embedding: found.role } : {};
}

/** The record of a reference cut, which says nothing of a result that points nowhere or into another file. */
function referenceEntries({ metadata: entries }: OnnxModel): readonly number[] {
  return entries.flatMap(({ key }, index) => (key === REFERENCE_KEY ? [index] : []));
}

/** @throws UsageError for a reference cut of a model that is one itself: it would point into a file that points on */
export function assertOneStep(model: OnnxModel, weights: WeightsPlan): void {
  if (!weights.isReference || referenceEntries(model).length === 0) return;
  throw new UsageError(
    `${option('weights', 'reference')}: the model is such a cut itself and points into another file`,
    {
      code: 'FEATX_USAGE_REFERENCE',
      hint: `use ${option('weights', 'keep')}: the result points where the model points`,
    },
  );
}

/** Whether the token axis of a tensor is a number of the file's own and not a nominal one. */
function isProven({ types }: InferredTypes, tensor: string | null): boolean {
  return (
    tensor !== null &&
    (types
      .get(tensor)
      ?.shape?.slice(1)
      .every((dim) => typeof dim === 'number') ??
      false)
  );
}
