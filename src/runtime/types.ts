import { RuntimeError, TimeoutError } from '../errors.js';
import { namesOf, type Names } from '../onnx/by-name.js';
import { ancestorsOf, viewGraph, type GraphView } from '../onnx/graph.js';
import { KNOWN_DOMAINS } from '../onnx/notes.js';
import type { OnnxModel, ValueType } from '../onnx/records.js';
import type { InferredTypes } from '../onnx/types.js';
import { typesOf } from '../shapes/file-types.js';
import type { Gap, Inference } from '../shapes/infer.js';
import { isWhole } from '../shapes/infer.js';
import { isTensor, numbersOf } from '../shapes/info.js';
import { valueTypeOf } from '../shapes/tensor-type.js';
import { inferAgain, inferWhole, type WholeInference } from '../shapes/whole.js';
import type { InferOptions, Question } from './type-questions.js';

/**
 * Types of tensors of the main graph: what is inferred and declared, and, behind operators that featx does not know,
 * what ONNX Runtime says of them. What stays unknown is left out or null, with a warning.
 * @throws UsageError if `inputShapes` do not fit the model
 * @throws RuntimeError, TimeoutError if ONNX Runtime is needed and cannot be asked
 */
export async function inferTypes(
  input: OnnxModel | GraphView,
  tensors: Names | Iterable<string>,
  options: InferOptions = {},
): Promise<InferredTypes> {
  const view = 'producerOf' in input ? input : viewGraph(input);
  const wanted = namesOf(tensors);
  const warnings: string[] = [];
  let whole = await inferWhole(view, options.inputShapes);
  const open = askable(view, whole.proven, wanted.keys());
  let asked: ReadonlyMap<string, ValueType> = new Map();
  if (open.length > 0) {
    const question = questionAbout(whole, open);
    // Next to no model needs it: nothing of it is loaded before.
    const { askForTypes } = await import('./asking.js');
    const answers = await askForTypes(view, question, options, warnings).catch((error: unknown) => {
      throw needed(error, open);
    });
    asked = answers[0] ?? asked;
    whole = inferAgain(whole, { proven: asked, nominal: answers[1] ?? asked });
  }
  return typesOf(whole, wanted, asked, warnings);
}

/** Nodes that the wanted tensors need, whose operators are not known here and perhaps there. */
export function askable(view: GraphView, proven: Inference, wanted: Iterable<string>): readonly Gap[] {
  const open = proven.gaps.filter(
    ({ node, unknown }) =>
      unknown.length > 0 &&
      unknown.every((operator) => KNOWN_DOMAINS.has(operator.slice(0, operator.lastIndexOf(':')))) &&
      node.outputs.some((name) => name !== '' && !isWhole(proven.infos.get(name))),
  );
  if (open.length === 0) return open;
  const ancestors = ancestorsOf(view, wanted);
  return open.filter(({ node }) => ancestors.has(node));
}

function questionAbout({ proven, nominal, inputs }: WholeInference, open: readonly Gap[]): Question {
  const worlds: Question['worlds'] = [
    { given: givenTypes(proven), inputShapes: nominal === proven ? inputs.shapes : undefined, fixDefaults: false },
    ...(nominal === proven ? [] : [{ given: givenTypes(nominal), inputShapes: inputs.shapes, fixDefaults: true }]),
  ];
  return { nodes: open.map(({ node }) => node), worlds };
}

/** Types that need not be asked about, except of tensors whose values say shapes: those are computed there too. */
function givenTypes({ infos }: Inference): Map<string, ValueType> {
  const given = new Map<string, ValueType>();
  for (const [name, info] of infos) {
    const isValue = isTensor(info) && numbersOf(info.value) !== null;
    const type = isWhole(info) && !isValue ? valueTypeOf(info) : null;
    if (type?.kind === 'tensor') given.set(name, type);
  }
  return given;
}

/** The failure of a runtime that was needed, with what for. */
function needed(error: unknown, open: readonly Gap[]): unknown {
  if (!(error instanceof RuntimeError || error instanceof TimeoutError)) return error;
  const operators = [...new Set(open.flatMap(({ unknown }) => unknown))];
  const names = operators.slice(0, 3).join(', ') + (operators.length > 3 ? ', …' : '');
  const message = `ONNX Runtime is needed for the types behind ${names}, which featx does not know: ${error.message}`;
  const { code, hint } = error;
  return error instanceof TimeoutError
    ? new TimeoutError(message, { code, hint, cause: error })
    : new RuntimeError(message, { code, hint, cause: error });
}
