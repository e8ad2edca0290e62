import * as fc from 'fast-check';
import {
  node,
  tensor,
  value,
  weights,
  type DataType,
  type FunctionSpec,
  type GraphSpec,
  type ModelSpec,
  type NodeSpec,
  type TensorSpec,
  type ValueSpec,
} from './model-spec.js';
import type { Style } from './wire-writer.js';

/** A generated model that ONNX Runtime runs, in the style of some serializer. Every float tensor is [2, 3]. */
export interface GeneratedModel {
  readonly spec: ModelSpec;
  readonly style: Style;
  /** Tensors of the main graph, in the order they are made, inputs and initializers included, with their types. */
  readonly tensors: ReadonlyMap<string, DataType>;
}

/**
 * One decision: what node comes next, and which of the tensors it can see it reads (by number, modulo how many there
 * are).
 */
interface Step {
  readonly kind: 'unary' | 'binary' | 'clip' | 'dropout' | 'constant' | 'call' | 'if' | 'loop';
  readonly a: number;
  readonly b: number;
  readonly bodies: readonly (readonly Step[])[];
  /** Whether the bodies use a name that the graph around them uses later. */
  readonly reusesName: boolean;
}

const DOMAIN = 'featx.test';
const SHAPE = [2, 3];
const v = (name: string, type: DataType = 'float32', shape: readonly number[] = SHAPE): ValueSpec =>
  value(name, shape, type);

const FUNCTIONS: readonly FunctionSpec[] = [
  { name: 'Twice', domain: DOMAIN, inputs: ['p'], outputs: ['q'], nodes: [node('Add', ['p', 'p'], ['q'])] },
  {
    name: 'Twice',
    domain: DOMAIN,
    overload: 'twice',
    inputs: ['p'],
    outputs: ['q'],
    nodes: [node('Neg', ['p'], ['q'])],
  },
  {
    name: 'Pair',
    domain: DOMAIN,
    inputs: ['p'],
    outputs: ['q', 'r'],
    opset: [
      ['', 17],
      [DOMAIN, 1],
    ],
    nodes: [node('Relu', ['p'], ['q']), node('Twice', ['p'], ['r'], {}, { domain: DOMAIN })],
  },
  {
    name: 'Choose',
    domain: DOMAIN,
    inputs: ['p', 'c'],
    outputs: ['q'],
    opset: [
      ['', 17],
      [DOMAIN, 1],
    ],
    nodes: [
      node('If', ['c'], ['q'], {
        then_branch: {
          graph: {
            name: 'then',
            nodes: [node('Twice', ['p'], ['t'], {}, { domain: DOMAIN, overload: 'twice' })],
            outputs: [v('t')],
          },
        },
        else_branch: { graph: { name: 'else', nodes: [node('Abs', ['p'], ['e'])], outputs: [v('e')] } },
      }),
    ],
  },
];

const UNARY = ['Relu', 'Neg', 'Abs', 'Tanh', 'Sigmoid', 'Identity'];
const BINARY = ['Add', 'Mul', 'Sub', 'Max'];

const { step } = fc.letrec<{ step: Step; leaf: Step; branching: Step }>((tie) => ({
  leaf: fc.record({
    kind: fc.constantFrom('unary', 'binary', 'clip', 'dropout', 'constant', 'call'),
    a: fc.nat(50),
    b: fc.nat(50),
    bodies: fc.constant([]),
    reusesName: fc.constant(false),
  }),
  branching: fc.record({
    kind: fc.constantFrom('if', 'loop'),
    a: fc.nat(50),
    b: fc.nat(50),
    bodies: fc.array(fc.array(tie('step'), { maxLength: 3, depthIdentifier: 'body' }), { minLength: 2, maxLength: 2 }),
    reusesName: fc.boolean(),
  }),
  step: fc.oneof(
    { maxDepth: 2, depthIdentifier: 'body' },
    { arbitrary: tie('leaf'), weight: 4 },
    { arbitrary: tie('branching'), weight: 1 },
  ),
}));

/** Any order of fields, packed or not, needless bytes, a graph in pieces. */
export const arbitraryStyle: fc.Arbitrary<Style> = fc.record({
  order: fc.oneof(fc.constantFrom('schema' as const, 'reversed' as const), fc.nat(1000)),
  packed: fc.boolean(),
  overlong: fc.constantFrom(0, 0, 1, 3),
  graphPieces: fc.constantFrom(1, 1, 2, 4),
});

/** Random graphs with bodies, captures, functions, several outputs, dead ends, omitted inputs; always valid. */
export const arbitraryModel: fc.Arbitrary<GeneratedModel> = fc
  .record({
    steps: fc.array(step, { minLength: 1, maxLength: 12 }),
    weights: fc.array(fc.record({ seed: fc.nat(1000), typed: fc.boolean() }), { minLength: 1, maxLength: 4 }),
    sparse: fc.boolean(),
    outputs: fc.array(fc.nat(50), { minLength: 1, maxLength: 4 }),
    typed: fc.nat(3),
    deadFunctions: fc.boolean(),
    style: arbitraryStyle,
  })
  .map(({ style, ...choices }) => ({ ...assemble(choices), style }));

interface Choices {
  readonly steps: readonly Step[];
  readonly weights: readonly { readonly seed: number; readonly typed: boolean }[];
  readonly sparse: boolean;
  readonly outputs: readonly number[];
  readonly typed: number;
  readonly deadFunctions: boolean;
}

function assemble({
  steps,
  weights: given,
  sparse,
  outputs,
  typed,
  deadFunctions,
}: Choices): Omit<GeneratedModel, 'style'> {
  const initializers: TensorSpec[] = given.map(({ seed, typed: inFields }, index) => ({
    ...weights(`w${index}`, SHAPE, seed),
    typed: inFields,
  }));
  const names = ['x', 'z', ...given.map((_, index) => `w${index}`), ...(sparse ? ['sparse'] : [])];
  const scope = new Scope('t', names);
  scope.addAll(steps);
  const made = [...scope.made.keys()];
  const chosen = [...new Set(outputs.map((index) => made[index % made.length]))];
  const functions = FUNCTIONS.filter((definition) => deadFunctions || scope.calls.has(definition));
  const graph: GraphSpec = {
    name: 'generated',
    nodes: scope.nodes,
    initializers: [
      ...initializers,
      tensor('trips', [], [2], 'int64'),
      tensor('true', [], [1], 'bool'),
      tensor('limit', [], [0.75]),
    ],
    sparseInitializers: sparse
      ? [{ values: tensor('sparse', [2], [0.5, -1]), indices: tensor('', [2], [1, 4], 'int64'), dims: SHAPE }]
      : [],
    inputs: [v('x'), v('z'), value('cond', [], 'bool')],
    outputs: chosen.map((name) => v(name, scope.made.get(name))),
    valueInfo: made
      .filter((name, index) => !chosen.includes(name) && index % 3 < typed)
      .map((name) => v(name, scope.made.get(name))),
  };
  const tensors = new Map<string, DataType>([...names.map((name) => [name, 'float32'] as const), ...scope.made]);
  return {
    spec: {
      irVersion: 10,
      opset: [
        ['', 17],
        [DOMAIN, 1],
      ],
      functions,
      graph,
    },
    tensors,
  };
}

/** A graph under construction: what its nodes can see, and what they have made. */
class Scope {
  readonly nodes: NodeSpec[] = [];
  readonly made = new Map<string, DataType>();
  readonly calls = new Set<FunctionSpec>();
  private readonly visible: string[];
  private count = 0;

  constructor(
    private readonly prefix: string,
    visible: readonly string[],
    /** The first name to give, where it is not one of its own. */
    private borrowed: string | null = null,
  ) {
    this.visible = [...visible];
  }

  addAll(steps: readonly Step[]): void {
    for (const each of steps) this.add(each);
  }

  /** A float tensor that can be seen here. */
  pick(index: number): string {
    return this.visible[index % this.visible.length];
  }

  private nextName(): string {
    return `${this.prefix}${this.count}`;
  }

  private fresh(type: DataType = 'float32'): string {
    const name = this.borrowed ?? this.nextName();
    if (this.borrowed === null) this.count++;
    this.borrowed = null;
    this.made.set(name, type);
    return name;
  }

  /** Hands fresh names to a node; they can be read only once it is there. */
  private emit(create: (names: readonly string[]) => NodeSpec, types: readonly DataType[] = ['float32']): void {
    const names = types.map((type) => this.fresh(type));
    this.nodes.push(create(names));
    names.forEach((name, index) => types[index] === 'float32' && this.visible.push(name));
  }

  private add({ kind, a, b, bodies, reusesName }: Step): void {
    const [p, q] = [this.pick(a), this.pick(b)];
    switch (kind) {
      case 'unary':
        return this.emit(([out]) => node(UNARY[b % UNARY.length], [p], [out]));
      case 'binary':
        return this.emit(([out]) => node(BINARY[(a + b) % BINARY.length], [p, q], [out]));
      case 'clip':
        return this.emit(([out]) => node('Clip', [p, '', 'limit'], [out]));
      case 'dropout':
        return b % 2 === 0
          ? this.emit(([out]) => node('Dropout', [p], [out]))
          : this.emit(([out, mask]) => node('Dropout', [p], [out, mask]), ['float32', 'bool']);
      case 'constant':
        return this.emit(([out]) => node('Constant', [], [out], { value: { tensor: weights('', SHAPE, a + b) } }));
      case 'call':
        return this.call(FUNCTIONS[b % FUNCTIONS.length], p);
      case 'if':
        this.emit(
          ([first, second]) =>
            node('If', ['cond'], [first, second], {
              then_branch: { graph: this.body(bodies[0], reusesName, [], [a, b]) },
              else_branch: { graph: this.body(bodies[1], reusesName, [], [b, a]) },
            }),
          ['float32', 'float32'],
        );
        break;
      case 'loop':
        this.emit(([out]) =>
          node('Loop', ['trips', 'true', p], [out], {
            body: { graph: this.body(bodies[0], reusesName, ['iteration', 'going', 'state'], [b]) },
          }),
        );
    }
    // ONNX Runtime sorts nodes, so whatever takes a body's name must depend on the owner of the body.
    const made = this.visible[this.visible.length - 1];
    if (reusesName) this.emit(([out]) => node('Neg', [made], [out]));
  }

  private call(definition: FunctionSpec, input: string): void {
    const use = (called: FunctionSpec): void => void this.calls.add(called);
    use(definition);
    if (definition.name === 'Pair') use(FUNCTIONS[0]);
    if (definition.name === 'Choose') use(FUNCTIONS[1]);
    const more = { domain: DOMAIN, ...(definition.overload === undefined ? {} : { overload: definition.overload }) };
    this.emit(
      (names) => node(definition.name, definition.inputs?.length === 2 ? [input, 'cond'] : [input], names, {}, more),
      (definition.outputs ?? []).map(() => 'float32' as const),
    );
  }

  /** A body that sees what is visible here; `formal` are the inputs of a Loop. */
  private body(
    steps: readonly Step[],
    reusesName: boolean,
    formal: readonly string[],
    results: readonly number[],
  ): GraphSpec {
    const prefix = `${this.prefix}_`;
    const own = formal.map((name) => `${prefix}${name}`);
    const inner = new Scope(prefix, [...this.visible, ...own.slice(2)], reusesName ? this.nextName() : null);
    inner.addAll(steps);
    const outputs = results.map((index) => {
      const picked = inner.pick(index);
      inner.emit(([out]) => node('Identity', [picked], [out]));
      return v([...inner.made.keys()].at(-1) ?? picked);
    });
    for (const definition of inner.calls) this.calls.add(definition);
    if (own.length === 0) return { name: 'body', nodes: inner.nodes, outputs };
    inner.emit(([out]) => node('Identity', [own[1]], [out]), ['bool']);
    const still = v([...inner.made.keys()].at(-1) ?? '', 'bool', []);
    return {
      name: 'body',
      nodes: inner.nodes,
      inputs: [v(own[0], 'int64', []), v(own[1], 'bool', []), v(own[2])],
      outputs: [still, ...outputs],
    };
  }
}
