import { option } from '../options/words.js';
import { UsageError } from '../errors.js';
import type { Layout, TensorFacts } from '../features/feature.js';
import type { NewNode } from '../onnx/encode.js';
import type { Mode } from '../options/choices.js';
import { mapOf, type ByName } from '../options/by-name.js';
import type { Dim } from '../onnx/records.js';
import type { Fault } from '../shapes/whole.js';
import type { OptionsIn } from '../options/types.js';
import type { FoundRecipe } from '../preprocessing/recipe.js';
import { pixelsOf, type Pixels } from './pixels.js';
import type { FreeBatch } from './batch-visit.js';
import type { TypeEdit } from './edit.js';
import { NO_STEPS, stepsOf, type AskedSteps, type StepRecord, type Steps } from './steps.js';

export type { Mode };

/** One selected feature: a tensor, or several to concatenate on axis 1. */
export interface Tap extends TensorFacts {
  /** Index into the FeatureInfo; null if it was selected by name. */
  readonly index: number | null;
  /** The group that the index counts in; null for the FeatureInfo. */
  readonly group?: string | null;
  readonly module: string | null;
  readonly tensors: readonly string[];
  /** What its output is called in every mode if nothing else is asked for. */
  readonly name?: string;
  /** What its output is called where it is not the tensor itself; default: after its tensor. */
  readonly alias?: string;
  /** Whether codes are to leave as numbers, and blocks as a map. */
  readonly asValue?: boolean;
  /** Whether it is to leave as float32, as no runtime gives back the type that it has. */
  readonly asFloat?: boolean;
  /** What was computed of it when the model was cut, and is not to be computed again. */
  readonly done?: readonly { readonly step: string }[];
  /** What its output is called in a dict; default: `str(index)`, else the tensor's name. */
  readonly key?: string;
}

/** A tap with the nodes that concatenate it and bring it into the layout asked for. */
export interface BuiltTap {
  readonly tap: Tap;
  readonly nodes: readonly NewNode[];
  readonly tensor: string;
  readonly shape: readonly Dim[] | null;
  readonly dtype: string | null;
  readonly layout: Layout | null;
  readonly prefixTokens: number;
  readonly channels: number | null;
  /** Whether `tensor` is the model's own and keeps its type. */
  readonly own: boolean;
  /** What it would leave as without steps: what a check compares with the model. */
  readonly before: BeforeSteps;
  /** What is computed of `before`. */
  readonly steps: readonly StepRecord[];
  /** The features that are one in this one. */
  readonly parts?: readonly BuiltTap[];
}

/** A feature as it would leave without steps. */
export interface BeforeSteps {
  readonly tensor: string;
  readonly layout: Layout | null;
  readonly prefixTokens: number;
  readonly converted: boolean;
}

/** A tensor that a cut begins with: it becomes an input, and what it was computed from goes. */
export interface Beginning {
  /** As it was asked for: a tensor, `module:layer2`, an index. */
  readonly name: string;
  readonly tensor: string;
  readonly module: string | null;
  /** Index into the FeatureInfo or the group; null if it was named. */
  readonly index: number | null;
  readonly group: string | null;
}

/** Where a cut begins, and how the selected features leave the graph. */
export interface PlanOptions {
  readonly mode: Mode;
  /** Drop what the features do not need; always so in dict and list mode. */
  readonly rewrite: boolean;
  readonly keepOutputs: boolean;
  /** Whether the model stays whole where no feature is selected. */
  readonly whole: boolean;
  readonly order: 'out' | 'exec';
  readonly outMap: readonly string[] | null;
  readonly outputFmt: Layout | null;
  /** Where the cut begins; at the inputs of the model if there are none. Without taps the original outputs remain. */
  readonly from: readonly Beginning[];
  /** Whether inputs of the model may stay beside the beginnings that are computed from them. */
  readonly keepInputs: boolean;
  /** Whether shapes of what lies in front of the beginnings become numbers, or shapes of the beginnings. */
  readonly foldShapes: boolean;
  /** New names of inputs of the cut, by their names in the file. */
  readonly inMap: ReadonlyMap<string, string>;
  /** What pixels go through in front of the input that takes pictures; null: the input stays. */
  readonly pixels: Pixels | null;
  /** What is computed of every feature before it leaves. */
  readonly steps: Steps;
  /** Sizes that the model declares now and its file does not. */
  readonly sizes: PlannedSizes | null;
  /** That the batch is to be free, and under which name. */
  readonly freeBatch: FreeBatch | null;
}

/** Declarations that say other sizes than the file, and the nodes that are impossible with them. */
export interface PlannedSizes {
  readonly types: readonly TypeEdit[];
  readonly faults: readonly Fault[];
}

/** What a plan does unless it is told otherwise. */
export const DEFAULT_PLAN: PlanOptions = {
  mode: 'dict',
  rewrite: true,
  keepOutputs: false,
  whole: false,
  order: 'out',
  outMap: null,
  outputFmt: null,
  from: [],
  keepInputs: false,
  foldShapes: true,
  inMap: new Map(),
  pixels: null,
  steps: NO_STEPS,
  sizes: null,
  freeBatch: null,
};

/** A plan from what a caller asks for. */
export function planOptions({ mode = 'dict', rewrite, ...asked }: AskedPlan): PlanOptions {
  return {
    mode,
    rewrite: mode !== 'hook' || rewrite === true,
    keepOutputs: asked.keepOutputs ?? DEFAULT_PLAN.keepOutputs,
    whole: asked.whole ?? DEFAULT_PLAN.whole,
    order: asked.order ?? DEFAULT_PLAN.order,
    outMap: asked.outMap ?? DEFAULT_PLAN.outMap,
    outputFmt: asked.outputFmt ?? DEFAULT_PLAN.outputFmt,
    from: asked.beginnings ?? DEFAULT_PLAN.from,
    keepInputs: asked.keepInputs ?? DEFAULT_PLAN.keepInputs,
    foldShapes: DEFAULT_PLAN.foldShapes,
    inMap: mapOf(asked.inMap ?? DEFAULT_PLAN.inMap),
    pixels: asked.pixels === undefined ? DEFAULT_PLAN.pixels : pixelsOf(asked.pixels, asked.pixelRecipe ?? null),
    steps: stepsOf(asked),
    sizes: asked.sizes ?? DEFAULT_PLAN.sizes,
    freeBatch: asked.freeing ?? DEFAULT_PLAN.freeBatch,
  };
}

/** How a caller wants features to leave the graph. */
export interface AskedPlan
  extends Partial<
      Omit<PlanOptions, 'outMap' | 'outputFmt' | 'from' | 'inMap' | 'foldShapes' | 'freeBatch' | 'pixels' | 'steps'>
    >,
    AskedSteps {
  /** What `freeBatch` needs to know of the model. */
  readonly freeing?: FreeBatch | null;
  /** What `from` means in the model. */
  readonly beginnings?: readonly Beginning[];
  readonly inMap?: ByName<string>;
  readonly pixels?: OptionsIn<'pixels'>;
  /** What `pixels.preprocess` names. */
  readonly pixelRecipe?: FoundRecipe | null;
  readonly outMap?: readonly string[];
  readonly outputFmt?: Layout;
}

/** @throws UsageError where an option is given for a cut that has no such choice */
export function assertModeFlags({ mode, rewrite, keepInputs }: AskedPlan, from: readonly unknown[] = []): void {
  if (keepInputs && from.length === 0)
    throw new UsageError(
      `${option('keepInputs', true)} is for ${option('from')}: a cut that begins at the inputs has them all`,
      { code: 'FEATX_USAGE_MODE' },
    );
  if (rewrite === undefined || mode === 'hook') return;
  throw new UsageError(
    `${option('rewrite', rewrite)} is for ${option('mode', 'hook')}; ${mode ?? 'dict'} mode always prunes the graph`,
    { code: 'FEATX_USAGE_MODE' },
  );
}
