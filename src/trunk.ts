import { createHash } from 'node:crypto';
import { openExternal, type SidecarFiles } from './onnx/external-data.js';
import { executionOrder, functionKey, isInitializer, readsOf, type GraphView } from './onnx/graph.js';
import type { Node, Tensor } from './onnx/records.js';
import { plainValues } from './onnx/tensor-data.js';
import { dtypeWord, tensorBytes } from './onnx/types.js';
import { weightDistance, type WeightDistance, type WeightPlace } from './tensors/weight-distance.js';

/** Up to where models are the same: nameless digests of every value, and bytes of weights where they matter. */

/** A model that is compared with others. */
export interface Compared {
  readonly view: GraphView;
  readonly files: SidecarFiles;
  readonly warn: (message: string) => void;
}

/** What models have in common. */
export interface Trunk {
  /** For each model, the digest of every tensor of its main graph. */
  readonly digests: readonly ReadonlyMap<string, string>[];
  /** Digests that every model has, of values that depend on its inputs. */
  readonly common: ReadonlySet<string>;
  /** For each model, the common values that something else reads, or that leave it, in the order of the first model. */
  readonly frontier: readonly (readonly string[])[];
  /** Weights that the common values are computed with, in the first model. */
  readonly weights: readonly string[];
}

const BLOCK = 4096;
/** Smaller weights are compared whole at once. */
const WHOLE = 16 * BLOCK;

/** Digests of graphs: of samples of weights first, and of those that turned out to be others by themselves. */
class Digester {
  private readonly samples = new Map<Tensor, string>();
  /** Weights whose samples are the same and whose bytes are not. */
  private readonly apart = new Map<Tensor, number>();

  constructor(private readonly model: Compared) {}

  setApart(tensor: Tensor, as: number): void {
    this.apart.set(tensor, as);
  }

  async placeOf(tensor: Tensor): Promise<WeightPlace | null> {
    const { view, files, warn } = this.model;
    if (tensor.external !== null) {
      const { source, range } = await openExternal(tensor, files, warn);
      return { source, ...range };
    }
    const range = plainValues(tensor);
    return range === null ? null : { source: view.model.source, ...range };
  }

  /** Of dtype, dims and a few blocks of the bytes. */
  private async weight(tensor: Tensor): Promise<string> {
    const known = this.samples.get(tensor);
    const own = known ?? (await this.sampled(tensor));
    this.samples.set(tensor, own);
    const as = this.apart.get(tensor);
    return as === undefined ? own : `${own}#${as}`;
  }

  private async sampled(tensor: Tensor): Promise<string> {
    const parts: (string | Uint8Array)[] = [String(tensor.dataType), tensor.dims.join(',')];
    const place = await this.placeOf(tensor);
    if (place === null)
      for (const { start, end } of tensor.payloads) parts.push(await this.model.view.model.read({ start, end }));
    else for (const [start, end] of blocksOf(place)) parts.push(await place.source.read(start, end));
    return digestOf(parts);
  }

  /** The digest of every tensor of the main graph. */
  async values(): Promise<ReadonlyMap<string, string>> {
    const { view } = this.model;
    const { model } = view;
    const digests = new Map<string, string>();
    for (const [name, tensor] of view.initializers) digests.set(name, await this.weight(tensor));
    for (const [name, { field }] of view.sparseInitializers)
      digests.set(name, digestOf(['sparse', await model.read(field)]));
    [...view.inputs.values()]
      .filter(({ name }) => !isInitializer(view, name))
      .forEach(({ name, type }, position) => {
        const elemType = type?.kind === 'tensor' ? type.elemType : (type?.kind ?? '');
        digests.set(name, digestOf(['input', String(position), String(elemType)]));
      });
    const functions = new Map(
      model.functions.map((each) => [functionKey(each.domain, each.name, each.overload), each]),
    );
    for (const node of executionOrder(view)) {
      const constant = constantOf(node);
      if (constant !== null) {
        digests.set(node.outputs[0], await this.weight(constant));
        continue;
      }
      const called = functions.get(functionKey(node.domain, node.opType, node.overload));
      const parts: (string | Uint8Array)[] = [node.domain, node.opType, node.overload];
      if (called !== undefined) parts.push(await model.read({ start: called.field.payload, end: called.field.end }));
      for (const { name, field } of [...node.attributes].sort((a, b) => (a.name < b.name ? -1 : 1)))
        parts.push(name, await model.read({ start: field.payload, end: field.end }));
      for (const name of [...node.inputs, ...readsOf(node).slice(node.inputs.filter((read) => read !== '').length)])
        parts.push(name === '' ? '' : (digests.get(name) ?? ''));
      const whole = digestOf(parts);
      node.outputs.forEach(
        (name, output) => void (name !== '' && digests.set(name, digestOf([whole, String(output)]))),
      );
    }
    return digests;
  }
}

function constantOf({ domain, opType, attributes }: Node): Tensor | null {
  if (domain !== '' || opType !== 'Constant' || attributes.length !== 1) return null;
  return attributes[0].name === 'value' ? (attributes[0].tensors[0] ?? null) : null;
}

/** All of a small range; of a large one the first, the middle and the last block. */
function blocksOf({ start, end }: WeightPlace): readonly (readonly [number, number])[] {
  if (end - start <= WHOLE) return [[start, end]];
  const middle = Math.floor((start + end - BLOCK) / 2);
  return [start, middle, end - BLOCK].map((at) => [at, at + BLOCK] as const);
}

function digestOf(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${part.length}:`);
    hash.update(part);
  }
  return hash.digest('base64');
}

/** Up to where models are the same. Weights of the common part are compared byte by byte, of the rest by samples. */
export async function trunkOf(models: readonly Compared[]): Promise<Trunk> {
  const digesters = models.map((model) => new Digester(model));
  let apart = 0;
  for (;;) {
    const digests: ReadonlyMap<string, string>[] = [];
    for (const digester of digesters) digests.push(await digester.values());
    const trunk = commonIn(models, digests);
    const pairs = weightPairs(models, digests, trunk.weights);
    let isSame = true;
    for (const tensors of pairs)
      for (let at = 1; at < models.length; at++) {
        const [one, other] = [await digesters[0].placeOf(tensors[0]), await digesters[at].placeOf(tensors[at])];
        if (one === null || other === null || (await areEqual(one, other))) continue;
        digesters[at].setApart(tensors[at], ++apart);
        isSame = false;
      }
    if (isSame) return trunk;
  }
}

function commonIn(models: readonly Compared[], digests: readonly ReadonlyMap<string, string>[]): Trunk {
  const variable = models.map(({ view }, at) => variableValues(view, digests[at]));
  const common = new Set([...variable[0]].filter((digest) => variable.every((values) => values.has(digest))));
  const isFrontier = models.map(({ view }, at) => (name: string): boolean => {
    const readers = view.consumersOf.get(name) ?? [];
    const made = view.producerOf.has(name) && common.has(digests[at].get(name) ?? '');
    return (
      made &&
      (view.outputs.has(name) ||
        readers.some(({ outputs }) =>
          outputs.some((output) => output !== '' && !common.has(digests[at].get(output) ?? '')),
        ))
    );
  });
  // What is read by something else in one model must be given to all of them.
  const wanted = new Set(
    models.flatMap(({ view }, at) =>
      [...view.producerOf.keys()].filter(isFrontier[at]).map((name) => digests[at].get(name) ?? ''),
    ),
  );
  const first = (at: number): ReadonlyMap<string, string> => {
    const names = new Map<string, string>();
    for (const name of models[at].view.producerOf.keys()) {
      const digest = digests[at].get(name) ?? '';
      if (wanted.has(digest) && !names.has(digest)) names.set(digest, name);
    }
    return names;
  };
  const names = models.map((_model, at) => first(at));
  const order = [...names[0].keys()];
  const { view } = models[0];
  const used = new Set<string>();
  for (const node of view.model.graph.nodes)
    if (node.outputs.some((output) => common.has(digests[0].get(output) ?? '')))
      for (const name of readsOf(node)) if (view.initializers.has(name)) used.add(name);
  return {
    digests,
    common,
    frontier: names.map((own) => order.map((digest) => own.get(digest) ?? '')),
    weights: [...used],
  };
}

/** Digests of values that depend on an input and that nodes make. */
function variableValues(view: GraphView, digests: ReadonlyMap<string, string>): ReadonlySet<string> {
  const reached = new Set([...view.inputs.keys()].filter((name) => !isInitializer(view, name)));
  const values = new Set<string>();
  for (const node of executionOrder(view)) {
    if (!readsOf(node).some((name) => reached.has(name))) continue;
    for (const name of node.outputs) {
      if (name === '') continue;
      reached.add(name);
      values.add(digests.get(name) ?? '');
    }
  }
  return values;
}

/** Weights of the trunk of the first model with those that stand for them in the others. */
function weightPairs(
  models: readonly Compared[],
  digests: readonly ReadonlyMap<string, string>[],
  weights: readonly string[],
): readonly (readonly Tensor[])[] {
  const byDigest = models.map(({ view }, at) => {
    const tensors = new Map<string, Tensor>();
    for (const [name, tensor] of view.initializers) tensors.set(digests[at].get(name) ?? '', tensor);
    for (const node of view.model.graph.nodes) {
      const constant = constantOf(node);
      if (constant !== null) tensors.set(digests[at].get(node.outputs[0]) ?? '', constant);
    }
    return tensors;
  });
  return weights.flatMap((name) => {
    const large = models[0].view.initializers.get(name);
    if (large === undefined || (tensorBytes(large) ?? 0) <= WHOLE) return [];
    const digest = digests[0].get(name) ?? '';
    const tensors = byDigest.map((own) => own.get(digest));
    return tensors.every((tensor) => tensor !== undefined) ? [tensors] : [];
  });
}

const WINDOW = 1024 * 1024;

async function areEqual(one: WeightPlace, other: WeightPlace): Promise<boolean> {
  if (one.end - one.start !== other.end - other.start) return false;
  for (let at = 0; at < one.end - one.start; at += WINDOW) {
    const size = Math.min(WINDOW, one.end - one.start - at);
    const [a, b] = await Promise.all(
      [one, other].map(({ source, start }) => source.read(start + at, start + at + size)),
    );
    if (Buffer.compare(a, b) !== 0) return false;
  }
  return true;
}

/** The first place where a model is another than the first. */
export interface Difference {
  readonly tensor: string;
  readonly kind: 'weights' | 'attributes' | 'operator' | 'end';
  /** What differs. */
  readonly what: string;
  /** How far, if it is the values of a weight of floats. */
  readonly distance?: WeightDistance;
}

/** Where a model leaves the first one: a value of the first whose inputs are common and that is not. */
export async function firstDifference(
  models: readonly Compared[],
  { digests, common }: Trunk,
): Promise<Difference | null> {
  const [first] = models;
  const [one] = digests;
  for (const node of executionOrder(first.view)) {
    const [output] = node.outputs;
    const isOwn = output !== undefined && !common.has(one.get(output) ?? '');
    const variable = node.inputs.filter((name) => first.view.producerOf.has(name) || first.view.inputs.has(name));
    const isFirst = isOwn && variable.some((name) => isCommon(first.view, one, common, name));
    if (!isFirst) continue;
    return differenceAt(models, node, digests[0], digests[1]);
  }
  return null;
}

function isCommon(
  view: GraphView,
  digests: ReadonlyMap<string, string>,
  common: ReadonlySet<string>,
  name: string,
): boolean {
  return common.has(digests.get(name) ?? '') || (view.inputs.has(name) && !isInitializer(view, name));
}

async function differenceAt(
  [one, two]: readonly Compared[],
  node: Node,
  own: ReadonlyMap<string, string>,
  theirs: ReadonlyMap<string, string>,
): Promise<Difference> {
  const [{ view }, { view: other }] = [one, two];
  const tensor = node.outputs[0];
  const wanted = own.get(node.inputs.find((name) => !isInitializer(view, name)) ?? '');
  const rivals = other.model.graph.nodes.filter((rival) => rival.inputs.some((name) => theirs.get(name) === wanted));
  const rival = rivals.find(({ opType }) => opType === node.opType);
  if (rival === undefined)
    return rivals.length === 0
      ? { tensor, kind: 'end', what: 'the other goes on nowhere from there' }
      : { tensor, kind: 'operator', what: `${node.opType} here, ${rivals[0].opType} there` };
  const at = node.inputs.findIndex((name, input) => own.get(name) !== theirs.get(rival.inputs[input] ?? ''));
  const weight = at < 0 ? undefined : view.initializers.get(node.inputs[at]);
  const twin = at < 0 ? undefined : other.initializers.get(rival.inputs[at] ?? '');
  if (weight === undefined || twin === undefined)
    return { tensor, kind: 'attributes', what: `attributes of ${node.opType}` };
  if (weight.dims.join() !== twin.dims.join() || weight.dataType !== twin.dataType)
    return { tensor, kind: 'weights', what: `'${weight.name}' is ${textOf(weight)} here and ${textOf(twin)} there` };
  const [here, there] = [await new Digester(one).placeOf(weight), await new Digester(two).placeOf(twin)];
  const distance = here === null || there === null ? null : await weightDistance(here, there, weight.dataType);
  const isNorm = ['Conv', 'BatchNormalization', 'Gemm', 'MatMul'].includes(node.opType);
  return {
    tensor,
    kind: 'weights',
    what: `the values of '${weight.name}'${distance === null ? '' : distanceText(distance)}${isNorm ? ': where batch norm is folded in, its statistics may have moved in training' : ''}`,
    ...(distance === null ? {} : { distance }),
  };
}

function distanceText({ deviations, differing, values }: WeightDistance): string {
  const far = deviations === null ? '' : ` by up to ${deviations.toPrecision(2)} standard deviations`;
  return `,${far} in ${differing} of ${values}`;
}

function textOf({ dataType, dims }: Tensor): string {
  return `${dtypeWord(dataType) ?? '?'} [${dims.join(', ')}]`;
}
