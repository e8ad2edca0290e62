import type { Analysis } from '../analysis.js';
import type { Geometry } from '../geometry.js';
import { lastTensor, type Module, type ModuleTree } from '../modules.js';

/** A module that may be a feature: it ends in a tensor that everything passes through. */
export interface Unit {
  readonly module: Module;
  readonly tensor: string;
  readonly place: Geometry;
  readonly stride: number;
}

/** Splits the network into the largest modules that end in a cut and at most halve the map. */
export function unitsOf({ flow, geometry }: Analysis, tree: ModuleTree): readonly Unit[] {
  const cuts = new Set(flow.cuts);
  const units: Unit[] = [];
  const stack = [...tree.root.children].reverse();
  for (let module = stack.pop(); module !== undefined; module = stack.pop()) {
    const tensor = lastTensor(flow, module);
    const place = tensor === null ? undefined : geometry.get(tensor);
    const entry = strideBefore(flow.nodes[module.nodes[0]].inputs, geometry);
    const isMap = place !== undefined && place.stride !== null && !place.pooled && place.axes !== null && !place.axes.includes('?');
    const isUnit = tensor !== null && isMap && cuts.has(tensor) && (place.stride ?? 0) <= 2 * entry;
    if (isUnit || (module.children.length === 0 && isMap && tensor !== null && cuts.has(tensor))) units.push({ module, tensor, place, stride: place.stride ?? 1 });
    else stack.push(...[...module.children].reverse());
  }
  return units;
}

function strideBefore(inputs: readonly string[], geometry: ReadonlyMap<string, Geometry>): number {
  for (const name of inputs) {
    const place = geometry.get(name);
    if (place !== undefined && place.stride !== null) return place.stride;
  }
  return 1;
}

/** The features of a network whose nodes lie in modules: per stride the last unit of the container that holds most of the network; one per block where the stride stays. */
export function pickUnits(analysis: Analysis, tree: ModuleTree): readonly Unit[] {
  const units = unitsOf(analysis, tree);
  const blocks = isotropicBlocks(analysis, tree, units);
  if (blocks !== null) return blocks;
  const main = mainContainer(units);
  const chosen = new Map<number, Unit>();
  for (const unit of units) {
    const before = chosen.get(unit.stride);
    if (before !== undefined && inside(before.module, main) && !inside(unit.module, main)) continue;
    chosen.set(unit.stride, unit);
  }
  return [...chosen.values()].sort((a, b) => a.stride - b.stride);
}

function inside(module: Module, container: Module | null): boolean {
  for (let up: Module | null = module.parent; up !== null; up = up.parent) if (up === container) return true;
  return false;
}

/** The parent of units at two strides or more that holds the most nodes. */
function mainContainer(units: readonly Unit[]): Module | null {
  const strides = new Map<Module, Set<number>>();
  const size = new Map<Module, number>();
  for (const { module, stride } of units) {
    const { parent } = module;
    if (parent === null) continue;
    strides.set(parent, (strides.get(parent) ?? new Set()).add(stride));
    size.set(parent, (size.get(parent) ?? 0) + module.nodes.length);
  }
  let best: Module | null = null;
  for (const [module, seen] of strides) if (seen.size >= 2 && (best === null || (size.get(module) ?? 0) > (size.get(best) ?? 0))) best = module;
  return best;
}

/** The blocks of a network that keeps one stride: the numbered children of the container that holds most of it. */
function isotropicBlocks({ flow, geometry }: Analysis, tree: ModuleTree, units: readonly Unit[]): readonly Unit[] | null {
  for (const module of tree.modules.values()) {
    const numbered = module.children.filter((child) => /^\d+$/.test(child.name));
    if (numbered.length < 3 || module.nodes.length < 0.6 * flow.nodes.length) continue;
    const blocks: Unit[] = [];
    for (const child of numbered) {
      const tensor = lastTensor(flow, child);
      const place = tensor === null ? undefined : geometry.get(tensor);
      if (tensor !== null && place !== undefined && place.stride !== null) blocks.push({ module: child, tensor, place, stride: place.stride });
    }
    if (blocks.length >= 3 && new Set(blocks.map(({ stride }) => stride)).size === 1) return blocks;
  }
  void units;
  return null;
}
