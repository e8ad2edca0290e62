import type { Resolution } from '../../../features/feature.js';
import { FeatureInfo } from '../../../features/feature-info.js';
import { neededTensors } from '../../../features/needed.js';
import { resolveFeatures } from '../../../features/resolve.js';
import { readStoredInfo } from '../../../features/resolvers/metadata.js';
import { selectFeatures } from '../../../features/select.js';
import type { NamedSelector, Selection, SelectOptions } from '../../../features/selectors.js';
import { viewGraph, type GraphView } from '../../../onnx/graph.js';
import { indexModel } from '../../../onnx/model.js';
import type { InferredTypes } from '../../../onnx/types.js';
import { NAMES } from '../hostile.js';
import { mutatedMessage } from '../mutate-model.js';
import { hashOf, Random } from '../random.js';
import { MODEL } from '../schema.js';
import type { Corpus } from '../seeds.js';
import { codeOf, Violation, type Target } from '../target.js';
import { joined } from '../tree.js';
import { staticTypes } from './types.js';

const PREFIX = 4;

/**
 * Features of models: indices without gaps, tensors that exist, the same answer twice and with an explanation; and
 * selections among them.
 */
export function resolveTarget(corpus: Corpus): Target {
  return {
    name: 'resolve',
    shape: { prefix: PREFIX, type: MODEL },
    deepOnceIn: 8,
    input: (random) =>
      joined([Uint8Array.from({ length: PREFIX }, () => random.below(256)), mutatedMessage(corpus, random, true)]),
    run: async (bytes, deep) => {
      let view: GraphView;
      let types: InferredTypes;
      let resolution: Resolution;
      try {
        view = viewGraph(await indexModel(bytes.subarray(PREFIX)));
        types = await staticTypes(view);
        const stored = await readStoredInfo(view.model);
        for (const name of neededTensors(view).keys())
          if (!exists(view, name)) throw new Violation('needs-what-is-not-there', name);
        resolution = resolveFeatures(view, types, { stored });
        if (deep) assertSameAnswer(resolution, resolveFeatures(view, types, { stored, explain: true }));
      } catch (error) {
        return codeOf(error);
      }
      assertConsistent(view, resolution);
      const random = new Random(hashOf(bytes.subarray(0, PREFIX)));
      const codes = [];
      for (let count = 1 + random.below(2); count > 0; count--)
        codes.push(select(view, types, resolution, requestFor(view, resolution, random)));
      return codes.every((code) => code === 'ok') ? 'ok' : codes.join(' ');
    },
  };
}

function exists(view: GraphView, name: string): boolean {
  return (
    view.producerOf.has(name) ||
    view.inputs.has(name) ||
    view.initializers.has(name) ||
    view.sparseInitializers.has(name)
  );
}

function assertSameAnswer(plain: Resolution, explained: Resolution): void {
  const answer = ({ features, outIndices, embedding, cutOutputs }: Resolution): string =>
    JSON.stringify([features, outIndices, embedding, cutOutputs]);
  if (answer(plain) !== answer(explained))
    throw new Violation(
      'explaining-changes-the-answer',
      `${plain.features.length} against ${explained.features.length} features`,
    );
}

function assertConsistent(view: GraphView, { features, outIndices, embedding, cutOutputs, tried }: Resolution): void {
  const isCount = (value: number | null): boolean => value === null || (Number.isFinite(value) && value > 0);
  features.forEach((feature, index) => {
    const { tensor, folded, numChs, reduction, prefixTokens } = feature;
    const wrong = (what: string): Violation => new Violation(`feature-with-wrong-${what}`, JSON.stringify(feature));
    if (feature.index !== index) throw wrong('index');
    if (tensor !== null && !exists(view, tensor)) throw wrong('tensor');
    if (folded !== null && !exists(view, folded)) throw wrong('fold');
    if (!isCount(numChs)) throw wrong('channels');
    if (!isCount(reduction)) throw wrong('reduction');
    if (!Number.isInteger(prefixTokens) || prefixTokens < 0) throw wrong('tokens');
  });
  if (outIndices.some((index) => !Number.isInteger(index) || index < 0 || index >= features.length))
    throw new Violation('out-index-of-no-feature', outIndices.join(', '));
  if (embedding !== null && !exists(view, embedding.tensor))
    throw new Violation('embedding-of-no-tensor', embedding.tensor);
  for (const { output } of cutOutputs)
    if (!exists(view, output)) throw new Violation('cut-output-of-no-tensor', output);
  if (features.length > 0 && tried.every(({ features: found }) => found.length === 0))
    throw new Violation('features-that-nobody-found', `${features.length}`);
  try {
    FeatureInfo.fromFeatures(features, [...outIndices]);
  } catch (error) {
    throw new Violation('features-that-are-no-info', `${codeOf(error)} ${String(error)}`);
  }
}

/** Selections by index and by name, of what exists and of what does not. */
function requestFor(view: GraphView, { features }: Resolution, random: Random): SelectOptions {
  const decoder = new TextDecoder();
  const nodes = view.model.graph.nodes;
  const nameOf = (by: NamedSelector['by']): string => {
    if (random.once(3)) return decoder.decode(random.pick(NAMES));
    const known =
      by === 'node'
        ? nodes.map(({ name }) => name)
        : by === 'tensor'
          ? [...view.producerOf.keys(), ...view.inputs.keys()]
          : features.flatMap(({ module }) => module ?? []);
    const name = known.length === 0 ? '*' : random.pick(known);
    return random.once(4)
      ? `${name.slice(0, random.below(name.length + 1))}*`
      : random.once(8)
        ? `${name}${random.pick(['#0', '#1', '@1', '@2', '@0'])}`
        : name;
  };
  const named = random.once(2)
    ? []
    : Array.from({ length: 1 + random.below(3) }, () => {
        const by = random.pick(['module', 'tensor', 'node'] as const);
        return { by, name: nameOf(by) };
      });
  const indices = Array.from(
    { length: 1 + random.below(3) },
    () => random.below(2 * features.length + 2) - features.length - 1,
  );
  return {
    ...(named.length > 0
      ? { select: named }
      : random.once(2)
        ? { out: indices }
        : random.once(2)
          ? { last: random.below(features.length + 2) }
          : {}),
    ...(random.once(4) ? { hookType: 'forward_pre' as const } : {}),
    embedding: random.once(8),
    allowFolded: random.once(2),
    flattenSequential: random.once(4),
    featureConcat: random.once(4),
  };
}

function select(view: GraphView, types: InferredTypes, resolution: Resolution, options: SelectOptions): string {
  let selections: readonly Selection[];
  try {
    selections = selectFeatures(view, types, resolution, options);
  } catch (error) {
    return codeOf(error);
  }
  for (const { tensors, index } of selections) {
    if (tensors.length === 0 || tensors.some((name) => !exists(view, name)))
      throw new Violation('selection-of-no-tensor', JSON.stringify([options, tensors]));
    if (index !== null && (index < 0 || index >= resolution.features.length))
      throw new Violation('selection-of-no-feature', JSON.stringify([options, index]));
  }
  return 'ok';
}
