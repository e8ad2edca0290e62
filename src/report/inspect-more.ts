import { plural } from '../wire/counted.js';
import { takeIndices } from '../features/feature-info.js';
import type { Attempt, Feature, Resolution } from '../features/feature.js';
import { nodePaths } from '../features/names.js';
import { NO_PATH } from '../features/names/path-tree.js';
import { groupNamed } from '../features/select.js';
import { executionRows, type GraphView } from '../onnx/graph.js';
import type { InferredTypes, TensorTypes } from '../onnx/types.js';
import { oneFeature } from '../options/feature-kinds.js';
import { option } from '../options/words.js';
import { featureRecord, tensorRecord, type ExplanationRecord, type NodeTensorRecord } from './records.js';

/** What a report of a model says of every tensor, and of how one feature was found. */

type KnownTypes = Pick<TensorTypes, 'get'>;

/** Every tensor that a node of the main graph gives. */
export function listedTensors(
  view: GraphView,
  known: KnownTypes,
  { origins }: InferredTypes,
): readonly NodeTensorRecord[] {
  const { nodes } = view.model.graph;
  const order = { columns: view.columns, rows: executionRows(view) };
  const { paths, places } = nodePaths(view, order);
  const modules = new Map(Array.from(order.rows, (row, at) => [row, places[at]]));
  const moduleOf = (row: number): string | null => {
    const path = modules.get(row) ?? NO_PATH;
    return path === NO_PATH ? null : paths.textOf(path);
  };
  return nodes.flatMap((node, row) =>
    node.outputs
      .filter((name) => name !== '')
      .map((name) => ({
        ...tensorRecord(name, known.get(name)),
        op_type: node.opType,
        node: node.name,
        module: moduleOf(row),
        origin: origins?.get(name) ?? null,
      })),
  );
}

/**
 * What each resolver says of a feature.
 * @throws ResolveError for an index that the model does not have
 */
export function explanation(resolution: Resolution, asked: number | string): ExplanationRecord {
  const { features, tried } = resolution;
  const { group, indices } = oneFeature(option('explain'), asked);
  if (group !== undefined) return explanationInGroup(group, groupNamed(resolution, group), indices);
  const [index] = takeIndices(features.length, indices).indices;
  const said = ({ features: found }: Attempt): Feature | undefined => found.find((feature) => feature.index === index);
  return {
    index,
    tried: tried.map((attempt) => {
      const feature = said(attempt);
      return {
        resolver: attempt.resolver,
        outcome: attempt.outcome,
        feature: feature === undefined ? null : featureRecord(feature),
      };
    }),
  };
}

/** A group is found in one way. @throws ResolveError */
function explanationInGroup(
  group: string,
  features: readonly Feature[],
  indices: readonly number[],
): ExplanationRecord {
  const [index] = takeIndices(features.length, indices, `the group '${group}'`).indices;
  const feature = features[index];
  const outcome = `${plural(features.length, 'feature')} of the group '${group}'`;
  return { index, group, tried: [{ resolver: feature.resolvedBy, outcome, feature: featureRecord(feature) }] };
}
