import { hasBodies, nodeLabel, viewGraph } from '../onnx/graph.js';
import { scopeAt } from '../onnx/inside.js';
import { RANDOM_OPERATORS } from '../onnx/random-operators.js';
import type { OnnxModel } from '../onnx/records.js';
import { Constants } from '../shapes/constants.js';
import { inferGraph } from '../shapes/infer.js';
import { isTensor } from '../shapes/info.js';
import { BODIES, isRounds, scopePath, type InnerPlace, type InnerStep } from './inner-places.js';

/** Whether the values that the rounds of a Loop or a Scan make are of one size: only then can they be stacked. */

/**
 * Why what rounds make cannot be stacked; null if it is proved that it can. What bodies declare of sizes is not
 * believed.
 * @param handed the model in which the tensor of a place is an output of every node on the way, whichever branch of an
 * If is taken
 */
export async function whyNotStacked(handed: OnnxModel, place: InnerPlace): Promise<string | null> {
  const outermost = place.steps.findIndex(isRounds);
  if (outermost === -1) return null;
  for (const [at, step] of place.steps.entries())
    if (at > outermost && isBranch(step) && !isSteady(handed, place.steps.slice(0, at), step.node.inputs[0] ?? ''))
      return `${labelOf(step)} may take its ${step.attribute} in some rounds and not in others, and rounds are stacked`;
  const view = viewGraph({ ...handed, warnings: [] });
  const { infos } = inferGraph(view, await Constants.of(handed), { doubtsBodies: true });
  const info = infos.get(place.label);
  const shape = info !== undefined && isTensor(info) ? info.shape : null;
  if (shape === null) return 'its number of axes may differ from round to round, and rounds are stacked';
  // The first axis counts the rounds of the outermost.
  const rounds = place.steps.filter(isRounds).length;
  const open = shape.findIndex((dim, axis) => axis > 0 && typeof dim !== 'number' && !dim.isKnown);
  if (open === -1) return null;
  return open < rounds
    ? 'a loop inside another may have another number of rounds each time, and rounds are stacked'
    : `its axis ${open - rounds} may have another size in every round, and rounds are stacked`;
}

function isBranch(step: InnerStep): step is Extract<InnerStep, { kind: 'body' }> {
  return step.kind === 'body' && BODIES[step.node.opType] === 'branch';
}

function labelOf({ node }: Extract<InnerStep, { kind: 'body' }>): string {
  return node.name === '' ? nodeLabel(node) : `'${node.name}' (${node.opType})`;
}

/** Values that are followed back, beyond which nothing is said. */
const MOST_VALUES = 1000;

/** Whether a tensor of the scope that steps lead to has one value in all rounds around it. */
function isSteady(model: OnnxModel, steps: readonly InnerStep[], name: string): boolean {
  const stack = [{ steps, name }];
  for (let visited = 0; stack.length > 0; visited++) {
    const current = stack.pop();
    if (current === undefined) return true;
    if (visited >= MOST_VALUES) return false;
    // Beyond the outermost rounds everything has one value.
    if (!current.steps.some(isRounds)) continue;
    const next = sourcesOf(model, current.steps, current.name);
    if (next === null) return false;
    stack.push(...next);
  }
  return true;
}

interface Source {
  readonly steps: readonly InnerStep[];
  readonly name: string;
}

/** What a tensor follows from; null if it may be another in every round. */
function sourcesOf(model: OnnxModel, steps: readonly InnerStep[], name: string): readonly Source[] | null {
  const step = steps[steps.length - 1];
  const outside = steps.slice(0, -1);
  const scope = scopeAt(model, scopePath(steps));
  const maker = scope.nodes.find(({ outputs }) => outputs.includes(name));
  if (maker !== undefined) {
    const isOpen = hasBodies(maker) || maker.domain !== '' || Object.hasOwn(RANDOM_OPERATORS, maker.opType);
    return isOpen ? null : maker.inputs.filter((input) => input !== '').map((input) => ({ steps, name: input }));
  }
  if (step.kind === 'call') {
    const given = step.node.inputs[model.functions[step.function].inputs.indexOf(name)];
    return given === undefined || given === '' ? null : [{ steps: outside, name: given }];
  }
  if (scope.initializers?.some((tensor) => tensor.name === name)) return [];
  return scope.inputs?.some((input) => input.name === name) ? null : [{ steps: outside, name }];
}
