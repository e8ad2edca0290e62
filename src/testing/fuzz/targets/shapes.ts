import { viewGraph, type GraphView } from '../../../onnx/graph.js';
import { indexModel } from '../../../onnx/model.js';
import { Formula } from '../../../shapes/formula.js';
import { inferGraph, type Inference } from '../../../shapes/infer.js';
import { isTensor, MOST_VALUES, type Info } from '../../../shapes/info.js';
import { tensorTypeOf } from '../../../shapes/tensor-type.js';
import { inferenceNotes, inferWhole, type WholeInference } from '../../../shapes/whole.js';
import { mutatedMessage } from '../mutate-model.js';
import { MODEL } from '../schema.js';
import type { Corpus } from '../seeds.js';
import { codeOf, Violation, type Target } from '../target.js';

/**
 * Types and shapes of models: sizes that tensors can have, the same answer twice, and formulas that give the numbers
 * which the same graph gives with numbers from the start.
 */
export function shapesTarget(corpus: Corpus): Target {
  return {
    name: 'shapes',
    shape: { prefix: 0, type: MODEL },
    deepOnceIn: 4,
    input: (random) => mutatedMessage(corpus, random, true),
    run: async (bytes, deep) => {
      let view: GraphView;
      let whole: WholeInference;
      try {
        view = viewGraph(await indexModel(bytes));
        whole = await inferWhole(view);
      } catch (error) {
        return codeOf(error);
      }
      inferenceNotes(whole);
      for (const inference of [whole.proven, whole.nominal]) assertSizes(view, inference);
      if (deep) {
        const again = await inferWhole(view);
        assertSame(whole.proven, again.proven);
        assertSame(whole.nominal, again.nominal);
        assertNumbers(whole);
      }
      return 'ok';
    },
  };
}

/** How JavaScript says that a program is wrong; a rule says what is wrong with a node. */
const FOREIGN = /undefined|is not a function|not iterable|Cannot |Invalid array length|BigInt|call stack|must be a/;

function assertSizes(view: GraphView, { infos, spentAt, gaps }: Inference): void {
  for (const { node, fault } of gaps)
    if (fault !== null && FOREIGN.test(fault)) throw new Violation('rule-that-breaks', `${node.opType}: ${fault}`);
  for (const [name, info] of infos) {
    const wrong = faultOf(info);
    if (wrong !== null) throw new Violation('impossible-type', `${JSON.stringify(name)} ${wrong}`);
    if (!exists(view, name)) throw new Violation('type-of-no-tensor', name);
  }
  if (spentAt !== null && !view.model.graph.nodes.includes(spentAt))
    throw new Violation('spent-at-no-node', spentAt.opType);
}

function exists({ producerOf, inputs, initializers, sparseInitializers }: GraphView, name: string): boolean {
  return [producerOf, inputs, initializers, sparseInitializers].some((known) => known.has(name));
}

function faultOf(info: Info): string | null {
  if (!isTensor(info)) return 'element' in info && info.element !== null ? faultOf(info.element) : null;
  const { elemType, shape, value } = info;
  if (!Number.isInteger(elemType)) return `has dtype ${elemType}`;
  const dims = shape ?? [];
  const wrong = dims.filter((dim) => typeof dim === 'number').find((dim) => !(Number.isSafeInteger(dim) && dim >= 0));
  if (wrong !== undefined) return `has a dim of ${wrong}`;
  if (tensorTypeOf(info).shape?.includes('') === true) return 'has a dim without a text';
  if (value === undefined) return null;
  const count = dims.every((dim) => typeof dim === 'number') ? dims.reduce((product, dim) => product * dim, 1) : null;
  if (value.length > MOST_VALUES || (shape !== null && count !== null && count !== value.length))
    return `has ${value.length} values for ${count} elements`;
  return null;
}

function assertSame(one: Inference, other: Inference): void {
  const said = ({ infos }: Inference): string =>
    JSON.stringify([...infos].map(([name, info]) => [name, tensorTypeOf(info)]));
  if (said(one) !== said(other)) throw new Violation('two-inferences-differ', `${said(one)} and ${said(other)}`);
}

/** What formulas give for the nominal inputs, against an inference that has numbers from the start. */
function assertNumbers({ view, constants, inputs, proven, nominal, unmet }: WholeInference): void {
  if (unmet.length > 0 || inputs.shapes.size === 0) return;
  const { shapes: inputShapes, symbols } = inputs;
  const direct = inferGraph(view, constants, { inputShapes, symbols, fixDefaults: true });
  const isDoubtful = [proven, nominal, direct].some(
    ({ contradictions, gaps, spentAt }) => contradictions.length + gaps.length > 0 || spentAt !== null,
  );
  if (isDoubtful) return;
  for (const [name, info] of nominal.infos) {
    const other = direct.infos.get(name);
    if (!isTensor(info) || !isTensor(other) || info.shape === null || other.shape === null) continue;
    const numbers = other.shape;
    const isSame =
      info.shape.length === numbers.length &&
      info.shape.every(
        (dim, axis) => dim instanceof Formula || numbers[axis] instanceof Formula || dim === numbers[axis],
      );
    if (!isSame)
      throw new Violation(
        'formulas-and-numbers-differ',
        `${JSON.stringify(name)}: ${JSON.stringify([tensorTypeOf(info), tensorTypeOf(other)])}`,
      );
  }
}
