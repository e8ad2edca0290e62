import { RuntimeError, TimeoutError } from '../errors.js';
import { certainTypes, isComplete } from '../onnx/certain-types.js';
import { ancestorsOf, viewGraph, type GraphView } from '../onnx/graph.js';
import { nominalInputs, NOMINAL_SIDES, substituted, type NominalInputs } from '../onnx/nominal.js';
import type { Dim, OnnxModel } from '../onnx/records.js';
import { declaredTypes, type InferredTypes, type TensorType } from '../onnx/types.js';
import type { Answers, InferOptions, Question } from './type-questions.js';

/**
 * Types of tensors of the main graph: what the file declares, what is certain without inference, and what ONNX Runtime
 * says of the weightless skeleton, in this order; what stays unknown is left out or null, with a warning. A file that
 * declares everything asked about starts no process.
 * @throws UsageError where `inputShapes` does not fit the model
 */
export async function inferTypes(
  input: OnnxModel | GraphView,
  tensors: Iterable<string>,
  options: InferOptions = {},
): Promise<InferredTypes> {
  const view = 'producerOf' in input ? input : viewGraph(input);
  const wanted = [...new Set(tensors)];
  const nominal = nominalInputs(view, NOMINAL_SIDES[0], options.inputShapes);
  const isOpen = nominal.shapes.size > 0 || hasOverridable(view);
  const warnings: string[] = [];
  const numbersOf = substitutions(nominal);
  const open = (types: ReadonlyMap<string, TensorType>): Pick<Question, 'unknown' | 'unnumbered'> => ({
    unknown: wanted.filter((name) => !isSettled(types.get(name)) && view.producerOf.has(name)),
    unnumbered: wanted.filter((name) => !isNumbered(types.get(name), numbersOf) && view.producerOf.has(name)),
  });
  let known: ReadonlyMap<string, TensorType> = declaredTypes(view.model);
  let { unknown, unnumbered } = open(known);
  if (unknown.length + unnumbered.length > 0) {
    known = certainTypes(view, ancestorsOf(view, wanted));
    ({ unknown, unnumbered } = open(known));
  }
  let answers: Answers = { proven: new Map(), nominal: new Map(), inputs: nominal };
  if (unknown.length + unnumbered.length > 0) {
    try {
      // Most models declare their types: they load nothing of this.
      const { askForTypes } = await import('./asking.js');
      const otherInputs = (): NominalInputs => nominalInputs(view, NOMINAL_SIDES[1], options.inputShapes);
      answers = await askForTypes(
        view,
        { known, unknown, unnumbered, isOpen, nominal },
        otherInputs,
        options,
        warnings,
      );
    } catch (error) {
      const excused =
        error instanceof TimeoutError ||
        (error instanceof RuntimeError &&
          ['FEATX_RUNTIME_MISSING', 'FEATX_RUNTIME_LOAD', 'FEATX_CHILD_CRASH'].includes(error.code));
      if (!excused) throw error;
      warnings.push(
        `types and shapes that the file does not declare stay unknown: ${error.message}${error.hint === undefined ? '' : ` (${error.hint})`}`,
      );
    }
  }
  return assemble(wanted, known, answers, warnings);
}

/** Declared by the file or certain: nothing to ask, though a dim may be null. */
function isSettled(type: TensorType | undefined): boolean {
  return type !== undefined && isComplete(type);
}

type Substitutions = (shape: readonly Dim[]) => readonly number[] | null;

/** Numbers for the symbols of shapes, worked out once for the tensors that share a shape. */
function substitutions({ symbols }: NominalInputs): Substitutions {
  const known = new Map<readonly Dim[], readonly number[] | null>();
  return (shape) => {
    const before = known.get(shape);
    if (before !== undefined) return before;
    const numbers = substituted(shape, symbols);
    known.set(shape, numbers);
    return numbers;
  };
}

function isNumbered(type: TensorType | undefined, numbersOf: Substitutions): boolean {
  return type !== undefined && (type.type !== undefined || (type.shape !== null && numbersOf(type.shape) !== null));
}

function hasOverridable(view: GraphView): boolean {
  return view.model.irVersion >= 4 && view.model.graph.inputs.some(({ name }) => view.initializers.has(name));
}

function assemble(
  wanted: readonly string[],
  known: ReadonlyMap<string, TensorType>,
  answers: Answers,
  warnings: readonly string[],
): InferredTypes {
  const types = new Map<string, TensorType>();
  const nominal = new Map<string, TensorType>();
  const { shapes, symbolic } = answers.inputs;
  const numbersOf = substitutions(answers.inputs);
  for (const name of wanted) {
    const type = merged(known.get(name), answers.proven.get(name));
    if (type !== undefined) types.set(name, type);
    const numbers = shapes.get(name) ?? (type?.shape == null ? null : numbersOf(type.shape));
    const numbered =
      numbers === null || type === undefined
        ? merged(type, answers.nominal.get(name), true)
        : { ...type, shape: numbers };
    if (numbered !== undefined) nominal.set(name, numbered);
  }
  return { types, nominal, nominalInputShape: new Map([...shapes].filter(([name]) => symbolic.has(name))), warnings };
}

/**
 * The first with its gaps filled from the second; `preferSecond` takes the whole shape of the second where it has one.
 */
function merged(
  first: TensorType | undefined,
  second: TensorType | undefined,
  preferSecond = false,
): TensorType | undefined {
  if (first === undefined || second === undefined || first.type !== undefined) return first ?? second;
  if (second.type !== undefined) return second;
  return {
    dtype: first.dtype ?? second.dtype,
    shape: preferSecond ? (second.shape ?? first.shape) : (first.shape ?? second.shape),
  };
}
