import type { NewAttribute } from '../onnx/encode.js';
import { ancestorsOf, bodiesOf, functionsUsedBy, type GraphView } from '../onnx/graph.js';
import { RANDOM_OPERATORS } from '../onnx/random-operators.js';
import type { Node } from '../onnx/records.js';
import { encodeText } from '../wire/text.js';
import type { AddedAttribute } from '../rewrite/edit.js';

const unknown: NumberOf = () => null;

/** What is random in a part of a graph. */
export interface RandomParts {
  /** Nodes that a seed can be given to, or have one. */
  readonly seeded: readonly Node[];
  /** Nodes with something random inside, where no seed reaches. */
  readonly beyond: readonly Node[];
}

/** The number that a constant scalar is; null for what is not one. */
export type NumberOf = (tensor: string) => number | null;

/** The random nodes that some tensors need. */
export function randomNodes(view: GraphView, tensors: Iterable<string>, numberOf: NumberOf): RandomParts {
  const seeded: Node[] = [];
  const beyond: Node[] = [];
  for (const node of ancestorsOf(view, tensors)) {
    if (isRandom(node, numberOf)) seeded.push(node);
    else if (hasRandomInside(node, view)) beyond.push(node);
  }
  const byIndex = (a: Node, b: Node): number => a.index - b.index;
  return { seeded: seeded.sort(byIndex), beyond: beyond.sort(byIndex) };
}

/** Whether a node draws numbers: Dropout only where it trains. */
function isRandom({ domain, opType, inputs }: Node, numberOf: NumberOf): boolean {
  if (domain !== '' || !Object.hasOwn(RANDOM_OPERATORS, opType)) return false;
  if (opType !== 'Dropout') return true;
  const [, ratio = '', training = ''] = inputs;
  if (training === '') return false;
  return numberOf(training) !== 0 && numberOf(ratio) !== 0;
}

function hasRandomInside(node: Node, view: GraphView): boolean {
  const called = view.model.functions.length === 0 ? [] : [...functionsUsedBy(view.model, [node])];
  const inner = [...called.flatMap(({ nodes }) => nodes), ...bodiesOf(node).flatMap(({ nodes }) => nodes)];
  return inner.some(isRandomAnywhere);
}

function isRandomAnywhere(node: Node): boolean {
  return isRandom(node, unknown) || bodiesOf(node).some(({ nodes }) => nodes.some(isRandomAnywhere));
}

/**
 * Seeds for the random nodes of a graph: of their names of outputs, which a cut keeps. `nameOf` says what an output is
 * called in the model, if the cut calls it otherwise.
 */
export function seedsFor(nodes: readonly Node[], nameOf: (output: string) => string): readonly AddedAttribute[] {
  return nodes
    .filter(({ attributes }) => !attributes.some(({ name }) => name === 'seed'))
    .map(({ index, opType, outputs }) => {
      const seed = seedOf(nameOf(outputs.find((name) => name !== '') ?? ''));
      const attribute: NewAttribute =
        RANDOM_OPERATORS[opType] === 'int' ? { name: 'seed', int: seed } : { name: 'seed', float: seed };
      return { node: index, attribute };
    });
}

/** FNV-1a, as far as a float32 holds whole numbers; 0 would be no seed for some kernels. */
function seedOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of encodeText(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return ((hash >>> 0) % 0xfffffe) + 1;
}
