import type { Attribute, FunctionDef, Graph, Node, OpsetImport, Tensor, ValueType } from '../onnx/records.js';
import { OMITTED } from '../onnx/columns.js';
import { executionRows, functionKey, type GraphView } from '../onnx/graph.js';
import { Algebra, type Requirement } from './algebra.js';
import { Call, RuleFault, type BodyResult, type BodyRunner } from './call.js';
import type { Constants } from './constants.js';
import { Declarations, merged } from './declared.js';
import { Formula } from './formula.js';
import { isTensor, tensorInfo, withoutValue, type Info, type Infos, type Shape, type TensorInfo } from './info.js';
import { NumberedInfos } from './numbered-infos.js';
import { attributesOf, lookup, opsetsOf, type Scope } from './scope.js';
import { ruleOf } from './table.js';
import { Uses } from './uses.js';

/** What an inference takes beside the graph. */
export interface InferenceOptions {
  /** Numbers for all dims of inputs, by name. */
  readonly inputShapes?: ReadonlyMap<string, readonly number[]>;
  /** Numbers for symbols. */
  readonly symbols?: ReadonlyMap<string, number>;
  /** Whether an initializer that a caller may override has its value all the same. */
  readonly fixDefaults?: boolean;
  /** What is known of outputs of nodes from elsewhere. */
  readonly given?: ReadonlyMap<string, ValueType>;
  /** Whether shapes that bodies declare of their values are left aside. */
  readonly doubtsBodies?: boolean;
}

/** A node whose outputs are not known from its inputs. */
export interface Gap {
  readonly node: Node;
  /** What is impossible about the node; null if an operator is not known. */
  readonly fault: string | null;
  /** The operators that are not known, as `domain:type`: its own, or those of its bodies and functions. */
  readonly unknown: readonly string[];
}

/** A declaration that what is inferred contradicts. */
export interface Contradiction {
  readonly tensor: string;
  readonly declared: Info;
  readonly inferred: Info;
  readonly believed: 'declared' | 'inferred';
}

/** What was inferred of a graph. */
export interface Inference {
  readonly algebra: Algebra;
  /** What is known of each tensor of the main graph. */
  readonly infos: Infos;
  /** Tensors of which a declaration says more than was inferred. */
  readonly filled: ReadonlySet<string>;
  readonly gaps: readonly Gap[];
  readonly contradictions: readonly Contradiction[];
  /** What must hold of symbols. */
  readonly requirements: readonly Requirement[];
  /** The node at which what may be calculated for a graph was used up; null if it sufficed. */
  readonly spentAt: Node | null;
}

/** Nodes of bodies and functions that are visited beside those of the main graph; beyond it they stay unknown. */
const MOST_INNER_NODES = 60_000;

/** Calls of functions and bodies that are followed, one inside the other: deeper ones stay unknown. */
const DEEPEST = 300;

/** Types and shapes of every tensor of the main graph that follow from what the file says, forwards. */
export function inferGraph(view: GraphView, constants: Constants, options: InferenceOptions = {}): Inference {
  return new Inferring(view, constants, options).whole();
}

class Inferring {
  private readonly algebra = new Algebra();
  private readonly declarations: Declarations;
  private readonly functions: ReadonlyMap<string, FunctionDef>;
  private readonly gaps: Gap[] = [];
  private readonly contradictions: Contradiction[] = [];
  private readonly filled = new Set<string>();
  /** By the number of a tensor: 1 if it is known for certain. */
  private readonly certain: Uint8Array;
  private readonly constantOf = (tensor: Tensor): TensorInfo => this.constants.infoOf(tensor);
  private readonly uses = new Uses();
  private innerNodes = 0;
  private depth = 0;
  private spentAt: Node | null = null;
  private faults = 0;
  /** Operators without a rule in the node of the main graph that is looked at. */
  private readonly unknown = new Set<string>();

  constructor(
    private readonly view: GraphView,
    private readonly constants: Constants,
    private readonly options: InferenceOptions,
  ) {
    this.certain = new Uint8Array(view.columns.count);
    this.declarations = new Declarations(this.algebra, options.symbols);
    this.functions = new Map(
      view.model.functions.map((definition) => [
        functionKey(definition.domain, definition.name, definition.overload),
        definition,
      ]),
    );
  }

  whole(): Inference {
    const { model, columns } = this.view;
    const { graph } = model;
    const infos = new NumberedInfos(columns);
    const scope = this.scope(infos, null, opsetsOf(model.opsetImports), null);
    this.give(graph, scope);
    infos.at.forEach((info, tensor) => {
      if (info !== null) this.certain[tensor] = 1;
    });
    const declared = this.declaredHere(graph);
    for (const row of executionRows(this.view)) {
      const node = graph.nodes[row];
      this.algebra.node = node.index;
      if (this.unknown.size > 0) this.unknown.clear();
      const outputs = this.visitRow(row, node, scope, this.inputsAt(row, infos));
      if (this.spentAt === null && this.algebra.budget.isSpent) this.spentAt = node;
      if (this.unknown.size > 0 && node.outputs.some((name, at) => name !== '' && !isWhole(outputs[at])))
        this.gaps.push({ node, fault: null, unknown: [...this.unknown] });
      this.settle(row, node, outputs, declared, infos);
    }
    const { algebra, gaps, contradictions, filled, spentAt } = this;
    return { algebra, infos, filled, gaps, contradictions, requirements: algebra.requirements, spentAt };
  }

  /** What is known of the inputs of a node of the main graph. */
  private inputsAt(row: number, { at }: NumberedInfos): readonly (Info | null)[] {
    const { starts, items } = this.view.columns.inputs;
    const from = starts[row];
    switch (starts[row + 1] - from) {
      case 1:
        return [infoAt(at, items[from])];
      case 2:
        return [infoAt(at, items[from]), infoAt(at, items[from + 1])];
      default:
        return Array.from(items.subarray(from, starts[row + 1]), (tensor) => infoAt(at, tensor));
    }
  }

  /** Notes what the outputs of a node of the main graph are. */
  private settle(
    row: number,
    node: Node,
    outputs: readonly (Info | null)[],
    declared: readonly (Info | undefined)[] | null,
    infos: NumberedInfos,
  ): void {
    const { reads, outputs: slots } = this.view.columns;
    let isCertain = true;
    for (let at = reads.starts[row]; at < reads.starts[row + 1]; at++)
      isCertain &&= this.certain[reads.items[at]] === 1;
    const first = slots.starts[row];
    for (let at = first; at < slots.starts[row + 1]; at++) {
      const tensor = slots.items[at];
      if (tensor === OMITTED) continue;
      const index = at - first;
      const given = this.options.given?.get(node.outputs[index]);
      const inferred = outputs[index] ?? (given === undefined ? null : this.declarations.infoOf(given));
      const said = declared?.[tensor] ?? null;
      if (said === null && inferred !== null) {
        infos.at[tensor] = this.kept(inferred);
        if (isCertain && isTensor(inferred) && inferred.elemType !== 0 && inferred.shape !== null)
          this.certain[tensor] = 1;
        continue;
      }
      const { info, isFilled, contradicts } = merged(inferred, said, isCertain, this.algebra);
      if (info === null) continue;
      infos.at[tensor] = this.kept(info);
      if (isFilled) this.filled.add(node.outputs[index]);
      else if (isCertain && isTensor(info) && info.elemType !== 0 && info.shape !== null) this.certain[tensor] = 1;
      if (contradicts && said !== null && inferred !== null)
        this.contradictions.push({
          tensor: node.outputs[index],
          declared: said,
          inferred,
          believed: isCertain ? 'inferred' : 'declared',
        });
    }
  }

  /** What is kept of a tensor: its elements take as much of what may be calculated as they are. */
  private kept(info: Info): Info {
    if (!isTensor(info) || info.value === undefined) return info;
    const { budget } = this.algebra;
    budget.spend(info.value.length);
    return budget.isSpent ? withoutValue(info) : info;
  }

  /** What is given from outside: initializers and inputs. */
  private give(graph: Graph, scope: Scope): void {
    const { irVersion } = this.view.model;
    for (const tensor of graph.initializers) scope.infos.set(tensor.name, this.constants.infoOf(tensor));
    for (const { values, dims } of graph.sparseInitializers)
      if (values !== null) scope.infos.set(values.name, tensorInfo(values.dataType, dims));
    for (const { name, type } of graph.inputs) {
      const standard = scope.infos.get(name);
      if (standard !== undefined) {
        // Since IR version 4 an initializer that is an input too is a default that a caller may replace.
        if (irVersion >= 4 && this.options.fixDefaults !== true && isTensor(standard))
          scope.infos.set(name, tensorInfo(standard.elemType, standard.shape));
        continue;
      }
      if (type === null) continue;
      const info = this.declarations.infoOf(type);
      const numbers = this.options.inputShapes?.get(name);
      if (!isTensor(info)) scope.infos.set(name, info);
      else scope.infos.set(name, { ...info, shape: numbers ?? this.namedDims(name, info.shape) });
    }
  }

  /** The dims of an input, with a name of its own for each that the file does not name. */
  private namedDims(input: string, shape: Shape | null): Shape | null {
    return (
      shape?.map((dim, axis) =>
        dim instanceof Formula && !dim.isKnown ? this.algebra.unnamed(unnamedDim(input, axis)) : dim,
      ) ?? null
    );
  }

  /** What the main graph declares, by the number of the tensor; null if it declares nothing. */
  private declaredHere(graph: Graph): readonly (Info | undefined)[] | null {
    const { columns } = this.view;
    let declared: (Info | undefined)[] | null = null;
    for (const list of [graph.valueInfo, graph.outputs]) {
      const tensors = columns.tensorsOf(list);
      for (let at = 0; at < list.length; at++) {
        const { type } = list[at];
        if (type === null || tensors[at] < 0) continue;
        declared ??= Array<Info | undefined>(columns.count).fill(undefined);
        declared[tensors[at]] = this.declarations.infoOf(type);
      }
    }
    return declared;
  }

  private declaredIn(graph: Pick<Graph, 'valueInfo' | 'outputs'>): Map<string, Info> {
    const declared = new Map<string, Info>();
    for (const list of [graph.valueInfo, graph.outputs])
      for (const { name, type } of list) if (type !== null) declared.set(name, this.declarations.infoOf(type));
    return declared;
  }

  /** What the outputs of a node are; nothing if it cannot be said. */
  private visit(node: Node, scope: Scope, isMain: boolean, inputs: readonly (Info | null)[]): readonly (Info | null)[] {
    const callee = this.calleeOf(node);
    const rule = callee === undefined ? ruleOf(node.domain, node.opType) : undefined;
    if (callee === undefined && rule === undefined) {
      this.unknown.add(`${node.domain}:${node.opType}`);
      return [];
    }
    const attributes = attributesOf(node, scope);
    if (callee !== undefined) return this.called(callee, inputs, attributes);
    const call = new Call(
      node,
      scope.opsets.get(node.domain) ?? 1,
      inputs,
      attributes,
      this.algebra,
      scope.runBody,
      this.constantOf,
    );
    try {
      const outputs = rule?.(call) ?? [];
      outputs.forEach(assertPossible);
      return outputs;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.faults++;
      if (isMain) this.gaps.push({ node, fault: reason, unknown: [] });
      return [];
    }
  }

  /** As `visit`, for a node of the main graph: what its operator made of the same inputs before, it makes again. */
  private visitRow(row: number, node: Node, scope: Scope, inputs: readonly (Info | null)[]): readonly (Info | null)[] {
    if (node.attributes.length > 0 || node.domain !== '' || this.functions.size > 0)
      return this.visit(node, scope, true, inputs);
    const { starts } = this.view.columns.outputs;
    const count = starts[row + 1] - starts[row];
    const known = this.uses.find(node.opType, inputs, count);
    if (known !== null) return known;
    const { version } = this.algebra;
    const outputs = this.visit(node, scope, true, inputs);
    // An unknown size, a requirement and a fault are this node's alone.
    if (outputs.length > 0 && this.algebra.version === version) this.uses.note(node.opType, { count, inputs, outputs });
    return outputs;
  }

  private calleeOf({ domain, opType, overload }: Node): FunctionDef | undefined {
    return this.functions.size === 0 ? undefined : this.functions.get(functionKey(domain, opType, overload));
  }

  private called(
    { inputs: names, outputs, nodes, defaults, opsetImports, valueInfo }: FunctionDef,
    inputs: readonly (Info | null)[],
    given: ReadonlyMap<string, Attribute>,
  ): readonly (Info | null)[] {
    const attributes = new Map([...defaults.map((each) => [each.name, each] as const), ...given]);
    const scope = this.scope(new Map(), null, this.opsets(opsetImports), attributes);
    names.forEach((name, index) => {
      const info = inputs[index];
      if (info != null) scope.infos.set(name, info);
    });
    this.walk(nodes, scope, this.declaredIn({ valueInfo, outputs: [] }));
    return outputs.map((name) => lookup(scope, name));
  }

  /** What a function imports; of other domains what the model does. */
  private opsets(imports: readonly OpsetImport[]): ReadonlyMap<string, number> {
    return opsetsOf([...this.view.model.opsetImports, ...imports]);
  }

  private scope(
    infos: Scope['infos'],
    around: Scope | null,
    opsets: Scope['opsets'],
    attributes: Scope['attributes'],
  ): Scope {
    const runBody: BodyRunner = (body, given) => this.runBody(body, given, scope);
    const scope: Scope = { infos, around, opsets, attributes, runBody };
    return scope;
  }

  private runBody(body: Graph, inputs: readonly (Info | null)[], around: Scope): BodyResult {
    const before = this.faults;
    const scope = this.scope(new Map(), around, around.opsets, around.attributes);
    for (const tensor of body.initializers) scope.infos.set(tensor.name, this.constants.infoOf(tensor));
    for (const { values, dims } of body.sparseInitializers)
      if (values !== null) scope.infos.set(values.name, tensorInfo(values.dataType, dims));
    body.inputs.forEach(({ name, type }, index) => {
      const declared = type === null ? null : this.claimed(this.declarations.infoOf(type));
      const { info } = merged(inputs[index] ?? null, declared, true, this.algebra);
      if (info !== null) scope.infos.set(name, info);
    });
    const { node } = this.algebra;
    this.algebra.node = null;
    const declared = this.declaredIn(body);
    for (const [name, info] of declared) declared.set(name, this.claimed(info));
    this.walk(body.nodes, scope, declared);
    this.algebra.node = node;
    const outputs = body.outputs.map(({ name }) => lookup(scope, name));
    return { outputs, isFaulty: this.faults > before };
  }

  /** What is believed of a declaration of a body. */
  private claimed(info: Info): Info {
    return this.options.doubtsBodies === true && isTensor(info) ? { ...info, shape: null } : info;
  }

  /** Nodes of a body or of a function. */
  private walk(nodes: readonly Node[], scope: Scope, declared: ReadonlyMap<string, Info>): void {
    this.innerNodes += nodes.length;
    if (this.innerNodes > MOST_INNER_NODES || this.depth >= DEEPEST) return;
    this.depth++;
    for (const node of nodes) {
      const inputs = node.inputs.map((name) => (name === '' ? null : lookup(scope, name)));
      const outputs = this.visit(node, scope, false, inputs);
      node.outputs.forEach((name, index) => {
        if (name === '') return;
        const { info } = merged(outputs[index] ?? null, declared.get(name) ?? null, true, this.algebra);
        if (info !== null) scope.infos.set(name, this.kept(info));
      });
    }
    this.depth--;
  }
}

function infoAt(infos: readonly (Info | null)[], tensor: number): Info | null {
  return tensor === OMITTED ? null : infos[tensor];
}

/** What a dim of an input that the file does not name is called here. */
export function unnamedDim(input: string, axis: number): string {
  return `${input}\0${axis}`;
}

/** Whether a dtype and a rank are known, or that a value is not a tensor. */
export function isWhole(info: Info | null | undefined): boolean {
  return info != null && (!isTensor(info) || (info.elemType !== 0 && info.shape !== null));
}

/** @throws RuleFault for a dim that no tensor has: a channel of three that is split in four, say */
function assertPossible(info: Info | null): void {
  if (!isTensor(info) || info.shape === null) return;
  for (const dim of info.shape)
    if (typeof dim === 'number' && !(dim >= 0 && Number.isSafeInteger(dim)))
      throw new RuleFault(`a dim would be ${dim}`);
}
