import type { GraphView } from '../onnx/graph.js';
import type { InferredTypes } from '../onnx/types.js';
import { analyse } from './analysis.js';
import { factsOf } from './facts.js';
import type { Feature, Resolution } from './feature.js';
import { moduleTree } from './modules.js';
import { nodePaths } from './names.js';
import { pickUnits } from './resolvers/module-path.js';

export function resolveFeatures(view: GraphView, types: InferredTypes): Resolution {
  const analysis = analyse(view, types);
  const paths = nodePaths(view, analysis.flow.nodes);
  const tree = moduleTree(analysis.flow, paths);
  const units = pickUnits(analysis, tree);
  const features = units.map((unit, index): Feature => ({
    ...factsOf(analysis, unit.tensor), index, module: unit.module.path, tensor: unit.tensor, folded: null, hookType: 'forward', resolvedBy: 'module-path', confidence: 'high', because: '',
  }));
  return { features, outIndices: features.map((_f, i) => i), embedding: null, tried: [], warnings: [] };
}
