import { UsageError } from '../errors.js';
import type { GraphView } from '../onnx/graph.js';
import { hasTensor } from '../onnx/reach.js';
import { nearestNames } from '../options/nearest.js';
import { option } from '../options/words.js';
import type { Feature, Resolution } from './feature.js';
import type { ModuleNames } from './select-module.js';
import { groupRange } from './suggestion.js';

/** Levels of a pyramid as detectors call them: `p3` of stride 8. */
const LEVEL = /^[cps]([0-7])$/i;

/** What names that stand where indices do are looked up in. */
export interface Known {
  readonly view: GraphView;
  readonly resolution: Resolution;
  readonly modules: ModuleNames;
}

/** The error for names in the place of indices: what has each of them in this model, and how that is selected. */
export function unnumbered(names: readonly string[], known: Known): UsageError {
  const hints = names.map((name) => selected(name, known));
  return new UsageError(`${option('out')} cannot read ${names.map((name) => `'${name}'`).join(', ')} as indices`, {
    hint: [...new Set(hints)].join('; '),
  });
}

function selected(name: string, { view, resolution, modules }: Known): string {
  const { groups, cutOutputs } = resolution;
  const group = groups.find((candidate) => candidate.name === name);
  if (group !== undefined) return `'${name}' is a group: ${option('out', groupRange(name, group.features))}`;
  const output = cutOutputs.find((candidate) => candidate.output === name);
  const tensor = option('tensor', name);
  if (output !== undefined && output.index !== null)
    return `'${name}' is an output: ${indexed(output.group, output.index)} or ${tensor}`;
  if (view.outputs.has(name)) return `'${name}' is an output: ${tensor}`;
  const { tree, folded } = modules;
  const feature = resolution.features.find(({ module }) => module === name);
  if (feature !== undefined || tree.modules.has(name) || folded.has(name))
    return `'${name}' is a module: ${option('module', name)}${feature === undefined ? '' : ` or ${indexed(null, feature.index)}`}`;
  if (hasTensor(view, name)) return `'${name}' is a tensor: ${tensor}`;
  const [, level] = LEVEL.exec(name) ?? [];
  const likely = level === undefined ? [] : ofStride(2 ** Number(level), resolution);
  if (likely.length > 0) return `'${name}' may be meant for stride ${2 ** Number(level)}: ${likely.join(' or ')}`;
  const known = [...groups.map((each) => each.name), ...view.outputs.keys(), ...tree.modules.keys()].filter(Boolean);
  const near = nearestNames(name, known);
  return `indices are numbers, as inspect lists them; nothing is called '${name}'${near.length === 0 ? '' : `; nearest: ${near.map((each) => `'${each}'`).join(', ')}`}`;
}

function indexed(group: string | null, index: number): string {
  return group === null ? option('out', [index]) : option('out', `${group}:${index}`);
}

/** The features of a stride: those of the FeatureInfo, then of groups. */
function ofStride(stride: number, { features, groups }: Resolution): readonly string[] {
  const lists: readonly (readonly [string | null, readonly Feature[]])[] = [
    [null, features],
    ...groups.map(({ name, features: own }) => [name, own] as const),
  ];
  return lists.flatMap(([group, list]) =>
    list.filter(({ reduction }) => reduction === stride).map(({ index }) => indexed(group, index)),
  );
}
