import {
  node,
  tensor,
  value,
  type AttributeSpec,
  type FunctionSpec,
  type GraphSpec,
  type NodeSpec,
  type ValueSpec,
} from '../model-spec.js';
import { DOMAIN, Draft, isTensor, type Known } from './draft.js';
import { Refused } from './oracle.js';

/** Bodies of If, Loop and Scan, and functions with their calls. What is drafted inside them runs in line first. */

/** Adds steps to a draft, each as good as ONNX Runtime takes it. */
export type Grow = (draft: Draft, steps: number) => void;

/** A step that drafts graphs inside its node. */
export type ControlStep = (draft: Draft, grow: Grow) => void;

const scalar = (number: number, type: 'int64' | 'bool'): AttributeSpec => ({
  tensor: { dims: [], type, data: [number] },
});

/** A graph inside, with what its inputs are bound to for the time being. */
function inside(draft: Draft, kind: 'body' | 'function', bound: readonly NodeSpec[], formals: readonly Known[]): Draft {
  const { nodes, initializers } = draft.whole;
  const outer = kind === 'function' ? formals : [...draft.values, ...formals];
  const inner = draft.isShut ? 'inner' : kind;
  return new Draft(draft.model, draft.depth + 1, { nodes: [...nodes, ...bound], initializers }, outer, inner);
}

/** A value that a body may give back: one of its own, or a copy of another. */
function given(body: Draft, test: (known: Known) => boolean): Known {
  const own = body.own.filter(
    (known) => test(known) && body.nodes.some(({ outputs = [] }) => outputs.includes(known.name)),
  );
  if (own.length > 0) return own[own.length - 1];
  const known = body.pick(test);
  const [name] = body.add('Identity', [known.name]);
  if (!body.commit()) throw new Refused('no copy');
  return { ...known, name };
}

/** What a graph inside declares of a value: everything, its dtype, or its name alone. */
function declared({ dice }: Draft, { name, dtype, dims }: Known, isOpen = false): ValueSpec {
  if (dtype === null) return { name };
  return value(name, !isOpen && dice.chance(0.4) ? dims : null, dice.chance(0.8) ? dtype : null);
}

function graphOf(body: Draft, inputs: readonly ValueSpec[], outputs: readonly ValueSpec[]): AttributeSpec {
  const graph: GraphSpec = { name: 'body', nodes: body.nodes, initializers: body.initializers, inputs, outputs };
  return { graph };
}

/** A truth value: constant, given from outside, or of sizes. */
function condition(draft: Draft): string {
  const { dice } = draft;
  const there = draft.values.filter(({ dtype, dims }) => dtype === 'bool' && dims.every((dim) => dim === 1));
  if (there.length > 0 && dice.chance(0.4)) return dice.pick(there).name;
  if (dice.chance(0.4)) return draft.constant(tensor('', [], [dice.int(0, 1)], 'bool'));
  if (!draft.isShut && dice.chance(0.5)) return draft.input([], 'bool');
  const { dims } = draft.pick((known) => isTensor(known) && known.dims.length > 0);
  const size = draft.sizes([dims[0]], 1);
  return draft.add(dice.pick(['Less', 'Equal', 'Greater']), [
    size,
    draft.constant(tensor('', [1], [dice.int(1, 4)], 'int64')),
  ])[0];
}

function settled<T>(draft: Draft, make: () => T): T {
  const made = make();
  if (!draft.commit()) throw new Refused('not settled');
  return made;
}

const choice: ControlStep = (draft, grow) => {
  const { dice, model } = draft;
  const truth = settled(draft, () => condition(draft));
  const first = model.names.next;
  const bodies = [0, 1].map((at) => {
    // Bodies beside each other may use the same names.
    const last = model.names.next;
    if (at === 1 && dice.chance(0.5)) model.names.next = first;
    const body = inside(draft, 'body', [], []);
    grow(body, dice.int(0, 3));
    model.names.next = Math.max(model.names.next, last);
    return body;
  });
  const pairs = Array.from({ length: dice.int(1, 2) }, () => {
    const yes = given(bodies[0], isTensorOrElse(dice.chance(0.9)));
    const no = given(
      bodies[1],
      (known) =>
        known.dtype === yes.dtype && (isTensor(known) || yes.dtype === null) && mayBeChosen(draft.opset, yes, known),
    );
    return [yes, no];
  });
  const [then, other] = bodies.map((body, at) =>
    graphOf(
      body,
      [],
      unique(
        pairs.map((pair) => pair[at]),
        body,
      ).map((known) => declared(draft, known, true)),
    ),
  );
  draft.add('If', [truth], pairs.length, { then_branch: then, else_branch: other });
};

/**
 * Before version 11 both branches give one shape. ONNX Runtime only notices where it can infer both, which what a cut
 * declares may let it.
 */
function mayBeChosen(opset: number, { dims }: Known, other: Known): boolean {
  return opset >= 11 || (dims.length === other.dims.length && dims.every((dim, axis) => dim === other.dims[axis]));
}

const isTensorOrElse =
  (isOnlyTensor: boolean) =>
  (known: Known): boolean =>
    isTensor(known) || (!isOnlyTensor && known.dtype === null);

/** Values of which none comes twice. */
function unique(values: readonly Known[], body: Draft): readonly Known[] {
  const seen = new Set<string>();
  return values.map((known) => {
    if (!seen.has(known.name)) {
      seen.add(known.name);
      return known;
    }
    const [name] = body.add('Identity', [known.name]);
    if (!body.commit()) throw new Refused('no copy');
    return { ...known, name };
  });
}

const loop: ControlStep = (draft, grow) => {
  const { dice, model } = draft;
  const states = Array.from({ length: dice.int(0, 2) }, () => draft.pick());
  const [trips, truth] = settled(draft, () => [
    draft.constant(tensor('', [], [dice.int(1, 3)], 'int64')),
    dice.chance(0.4) ? '' : draft.constant(tensor('', [], [1], 'bool')),
  ]);
  const [iteration, going] = [model.names.fresh(), model.names.fresh()];
  const formals = states.map((state): Known => ({ ...state, name: model.names.fresh() }));
  const bound = [
    node('Constant', [], [iteration], { value: scalar(0, 'int64') }),
    node('Constant', [], [going], { value: scalar(1, 'bool') }),
    ...formals.map(({ name }, at) => node('Identity', [states[at].name], [name])),
  ];
  const known: Known[] = [
    { name: iteration, dtype: 'int64', dims: [] },
    { name: going, dtype: 'bool', dims: [] },
  ];
  const body = inside(draft, 'body', bound, [...known, ...formals]);
  grow(body, dice.int(1, 4));
  const still = settled(body, () =>
    dice.chance(0.6)
      ? body.add('Identity', [going])[0]
      : body.add('Less', [iteration, body.constant(tensor('', [], [dice.int(0, 2)], 'int64'))])[0],
  );
  const next = formals.map(({ dtype, dims }) => {
    const grows = dice.chance(0.3);
    return given(body, (each) => each.dtype === dtype && isTensor(each) && (grows || each.dims.join() === dims.join()));
  });
  const scanned = Array.from({ length: dice.int(states.length === 0 ? 1 : 0, 2) }, () => given(body, isTensor));
  const outputs = unique([{ name: still, dtype: 'bool', dims: [] }, ...next, ...scanned], body);
  const inputs = [
    value(iteration, [], 'int64'),
    value(going, [], 'bool'),
    ...formals.map((each, at) => {
      const said = declared(draft, each, dice.chance(0.7));
      // A state that grows has no shape that holds for every round.
      const isSteady = next[at].dims.join() === each.dims.join();
      return isSteady ? said : value(each.name, null, each.dtype);
    }),
  ];
  draft.add('Loop', [trips, truth, ...states.map(({ name }) => name)], next.length + scanned.length, {
    body: graphOf(
      body,
      inputs,
      outputs.map((each) => declared(draft, each, true)),
    ),
  });
};

const scan: ControlStep = (draft, grow) => {
  const { dice, model } = draft;
  if (draft.opset < 9) throw new Refused('another operator before 9');
  const states = Array.from({ length: dice.int(0, 1) }, () => draft.pick());
  const first = draft.pick((known) => isTensor(known) && known.dims.length > 0);
  const axis = dice.int(0, first.dims.length - 1);
  const index = model.names.fresh();
  const [state, slice] = [states.map((each): Known => ({ ...each, name: model.names.fresh() })), model.names.fresh()];
  const bound = [
    node('Constant', [], [index], { value: scalar(0, 'int64') }),
    ...state.map(({ name }, at) => node('Identity', [states[at].name], [name])),
    node('Gather', [first.name, index], [slice], { axis: { int: axis } }),
  ];
  const formals: Known[] = [...state, { ...first, name: slice, dims: first.dims.filter((_dim, at) => at !== axis) }];
  const body = inside(draft, 'body', bound, formals);
  grow(body, dice.int(1, 3));
  const next = state.map(({ dtype, dims }) =>
    given(body, (each) => each.dtype === dtype && each.dims.join() === dims.join()),
  );
  const outputs = unique([...next, given(body, isTensor)], body);
  const backwards: Record<string, AttributeSpec> = dice.chance(0.2) ? { scan_input_directions: { ints: [1] } } : {};
  const placed: Record<string, AttributeSpec> = dice.chance(0.2)
    ? { scan_output_axes: { ints: [dice.int(0, 1)] } }
    : {};
  draft.add('Scan', [...states.map(({ name }) => name), first.name], outputs.length, {
    body: graphOf(
      body,
      formals.map((each) => declared(draft, each, true)),
      outputs.map((each) => declared(draft, each, true)),
    ),
    num_scan_inputs: { int: 1 },
    ...(axis > 0 ? { scan_input_axes: { ints: [axis] } } : {}),
    ...backwards,
    ...placed,
  });
};

const REF_TYPES: { readonly [kind: string]: number } = { float: 1, int: 2, string: 3, floats: 6, ints: 7 };

/** Nodes whose attributes are in part those of the function. */
function referring(
  nodes: readonly NodeSpec[],
  draft: Draft,
): { nodes: NodeSpec[]; own: Record<string, AttributeSpec> } {
  const own: Record<string, AttributeSpec> = {};
  const changed = nodes.map((each): NodeSpec => {
    const attributes = Object.entries(each.attributes ?? {}).map(([name, spec]): [string, AttributeSpec] => {
      const kind = Object.keys(spec).find((key) => key in REF_TYPES);
      if (kind === undefined || !draft.dice.chance(0.5)) return [name, spec];
      const ref = `attribute${Object.keys(own).length}`;
      own[ref] = spec;
      return [name, { ref, refType: REF_TYPES[kind] }];
    });
    return { ...each, attributes: Object.fromEntries(attributes) };
  });
  return { nodes: changed, own };
}

const definition: ControlStep = (draft, grow) => {
  const { dice, model } = draft;
  if (model.irVersion < 8 || draft.isShut) throw new Refused('no functions');
  const arguments_ = Array.from({ length: dice.int(1, 2) }, () => draft.pick());
  const formals = arguments_.map((each): Known => ({ ...each, name: model.names.fresh() }));
  const bound = formals.map(({ name }, at) => node('Identity', [arguments_[at].name], [name]));
  const body = inside(draft, 'function', bound, formals);
  grow(body, dice.int(1, 4));
  const results = unique(
    Array.from({ length: dice.int(1, 2) }, () => given(body, () => true)),
    body,
  );
  const { nodes, own } = referring(body.nodes, draft);
  const hasDefault = Object.keys(own).filter(() => dice.chance(0.5));
  const overload = model.irVersion >= 10 && dice.chance(0.5) ? { overload: `o${model.functions.length}` } : {};
  const made: FunctionSpec = {
    name: overload.overload === undefined ? `F${model.functions.length}` : 'F',
    domain: DOMAIN,
    ...overload,
    inputs: formals.map(({ name }) => name),
    outputs: results.map(({ name }) => name),
    attributes: Object.keys(own).filter((name) => !hasDefault.includes(name)),
    defaults: Object.fromEntries(hasDefault.map((name) => [name, own[name]])),
    nodes,
    opset: [
      ['', model.opset],
      ['com.microsoft', 1],
      ['ai.onnx.ml', 3],
      [DOMAIN, 1],
    ],
  };
  model.functions.push(made);
  const passed = Object.fromEntries(
    Object.entries(own).filter(([name]) => !hasDefault.includes(name) || dice.chance(0.3)),
  );
  model.signatures.set(made, formals);
  model.calls.set(made, passed);
  callOf(
    draft,
    made,
    arguments_.map(({ name }) => name),
  );
  if (!draft.commit()) {
    model.functions.pop();
    throw new Refused('no such function');
  }
};

function callOf(draft: Draft, { name, overload, outputs = [] }: FunctionSpec, inputs: readonly string[]): void {
  const made = draft.model.functions.find((each) => each.name === name && each.overload === overload);
  const passed = made === undefined ? {} : (draft.model.calls.get(made) ?? {});
  draft.add(name, inputs, outputs.length, passed, { domain: DOMAIN, ...(overload === undefined ? {} : { overload }) });
}

const call: ControlStep = (draft) => {
  const { model } = draft;
  if (model.functions.length === 0) throw new Refused('no functions');
  const made = draft.dice.pick(model.functions);
  const formals = model.signatures.get(made) ?? [];
  callOf(
    draft,
    made,
    formals.map(({ dtype }) => draft.pick((known) => known.dtype === dtype).name),
  );
};

/** Steps with graphs inside. */
export const CONTROLS: { readonly [op: string]: ControlStep } = {
  If: choice,
  Loop: loop,
  Scan: scan,
  Function: definition,
  Call: call,
};
