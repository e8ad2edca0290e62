import { encodeModel } from '../model-builder.js';
import { DATA_TYPES, value, type DataType, type ModelSpec, type ValueSpec } from '../model-spec.js';
import { seededRandom } from '../random.js';
import type { Style } from '../wire-writer.js';
import { CONTRIBUTED } from './contributed.js';
import { CONTROLS, type ControlStep, type Grow } from './control.js';
import { Dice } from './dice.js';
import { Draft, ModelDraft, type Known } from './draft.js';
import { ELEMENTS } from './elements.js';
import { MOVEMENTS } from './movement.js';
import { Names } from './names.js';
import { LAYERS } from './networks.js';
import { Refused, runModel, type Feeds } from './oracle.js';
import { REST } from './others.js';
import { INPUT_TYPES } from './values.js';

/** Random graphs that ONNX Runtime runs: any operator set from 7 on, any dtype, bodies, functions, odd names. */

/** A graph, and what a run showed of it. */
export interface RandomGraph {
  readonly seed: number;
  readonly opset: number;
  readonly spec: ModelSpec;
  readonly style: Style;
  readonly feeds: Feeds;
  /** Every value of the main graph, inputs included, in the order they are made. */
  readonly values: readonly Known[];
}

/** Operator sets that this ONNX Runtime loads; operators that are newer than its kernels are refused. */
const OPSETS = [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26] as const;

/** Steps that are tried more often than others of their kind: what makes dtypes and what holds graphs. */
const OFTEN: { readonly [op: string]: ControlStep } = {
  Cast: ELEMENTS['Cast'],
  CastLike: ELEMENTS['CastLike'],
  Where: ELEMENTS['Where'],
  QuantizeLinear: ELEMENTS['QuantizeLinear'],
  Gemm: LAYERS['Gemm'],
  MatMul: LAYERS['MatMul'],
  Conv: LAYERS['Conv'],
  Reduce: MOVEMENTS['Reduce'],
  Concat: MOVEMENTS['Concat'],
  Slice: MOVEMENTS['Slice'],
};

const KINDS: readonly (readonly [odds: number, steps: { readonly [op: string]: ControlStep }])[] = [
  [0.16, OFTEN],
  [0.22, ELEMENTS],
  [0.2, MOVEMENTS],
  [0.16, LAYERS],
  [0.08, CONTRIBUTED],
  [0.08, REST],
  [0.12, CONTROLS],
];

/** Beyond it bodies hold no bodies. */
const DEEPEST = 2;

function stepOf({ dice, depth }: Draft): ControlStep {
  let at = dice.int(0, 999) / 1000;
  for (const [odds, steps] of KINDS) {
    if (at < odds && (steps !== CONTROLS || depth < DEEPEST)) return steps[dice.pick(Object.keys(steps))];
    at -= odds;
  }
  return ELEMENTS[dice.pick(Object.keys(ELEMENTS))];
}

/** Adds steps to a draft; what is refused is tried no more. */
const grow: Grow = (draft, steps) => {
  let made = 0;
  for (let tried = 0; made < steps && tried < 6 * steps; tried++) {
    const step = stepOf(draft);
    try {
      step(draft, grow);
      if (draft.isWaiting && draft.commit()) made++;
    } catch (error) {
      draft.drop();
      if (!(error instanceof Refused)) throw error;
    }
  }
};

/** A random graph; the same for the same seed and the same ONNX Runtime. */
export function randomGraph(seed: number): RandomGraph {
  const dice = new Dice(seededRandom(seed));
  for (let skipped = 0; skipped < 4; skipped++) dice.int(0, 1);
  const opset = dice.pick(OPSETS);
  const irVersion = opset < 12 ? dice.pick([4, 6, 8]) : dice.pick([7, 8, 9, 10, 11]);
  const real = dice.pick<DataType>(['float32', 'float32', 'float32', 'float64', 'float16']);
  const [style, isOdd] = [dice.int(0, 4), dice.chance(0.3)];
  const model = new ModelDraft(dice, opset, irVersion, new Names(style, isOdd), new Names(style, isOdd, 10_000), real);
  const draft = new Draft(model, 0, { nodes: [], initializers: [] }, [], 'main');
  for (let count = dice.int(1, 3); count > 0; count--)
    draft.input(dice.dims(dice.int(0, 4), 6), dice.chance(0.5) ? real : dice.pick<DataType>(INPUT_TYPES));
  draft.commit();
  grow(draft, dice.int(2, 9));
  const made = draft.own.filter(({ name }) => draft.nodes.some(({ outputs = [] }) => outputs.includes(name)));
  const leaving = made.filter(() => dice.chance(0.3)).slice(0, 3);
  const outputs = leaving.length > 0 ? leaving : made.slice(-1);
  const spec = model.spec(draft.nodes, draft.initializers, []);
  const declared = made.filter((known) => !outputs.includes(known) && dice.chance(0.3));
  const whole: ModelSpec = {
    ...spec,
    graph: {
      ...spec.graph,
      valueInfo: declared.flatMap(declarationOf),
      outputs: outputs.map((known) => outputOf(known, dice)),
    },
  };
  const bare = outputs.map(({ name }) => ({ name }));
  return {
    seed,
    opset,
    // ONNX Runtime infers some shapes wrongly, and refuses what is right beside them.
    spec: runs(whole, model.feeds) ? whole : { ...spec, graph: { ...spec.graph, outputs: bare } },
    style: styleOf(dice),
    feeds: model.feeds,
    values: draft.own,
  };
}

function runs(spec: ModelSpec, feeds: Feeds): boolean {
  try {
    return runModel(encodeModel(spec), feeds).size > 0;
  } catch (error) {
    if (error instanceof Refused) return false;
    throw error;
  }
}

function declarationOf({ name, dtype, dims }: Known): ValueSpec[] {
  return dtype === null || !(dtype in DATA_TYPES) ? [] : [value(name, dims, dtype)];
}

function outputOf({ name, dtype, dims }: Known, dice: Dice): ValueSpec {
  if (dtype === null) return { name };
  return value(name, dice.chance(0.5) ? dims : null, dice.chance(0.8) ? dtype : null);
}

function styleOf(dice: Dice): Style {
  return dice.chance(0.5)
    ? {}
    : {
        order: dice.pick(['schema' as const, 'reversed' as const, dice.int(0, 999)]),
        packed: dice.chance(0.5),
        overlong: dice.pick([0, 0, 1, 3]),
        graphPieces: dice.pick([1, 1, 2, 4]),
      };
}
