import { plural } from '../../wire/counted.js';
import { call, named } from '../../options/words.js';
import { ResolveError } from '../../errors.js';
import { hasTensor, type GraphView } from '../../onnx/graph.js';
import type { Analysis } from '../analysis.js';
import { factsOf } from '../facts.js';
import type { Feature, HookType } from '../feature.js';
import { FeatureInfo, type FeatureEntry } from '../feature-info.js';
import { nearestNames } from '../../options/nearest.js';
import type { ModuleTree } from '../modules.js';
import { foldedModules, tapModule } from '../taps.js';
import type { Answer } from './module-path.js';

/**
 * The features a caller names, found in the graph by `tensor` or by `module`, or by what timm calls them; the graph's
 * own channels and strides win over the declared ones.
 * @throws UsageError where the entries are no FeatureInfo
 * @throws ResolveError naming every module and tensor that is not there
 */
export function resolveExplicit(
  view: GraphView,
  analysis: Analysis,
  tree: ModuleTree,
  given: readonly FeatureEntry[],
  found: () => Answer,
): Answer {
  const entries = [...new FeatureInfo(given)];
  const missing: string[] = [];
  const warnings: string[] = [];
  const folded = foldedModules(view, analysis.whole, tree);
  const features = entries.map((entry, index): Feature => {
    const hookType: HookType = entry['hook_type'] === 'forward_pre' ? 'forward_pre' : 'forward';
    const place = locate(view, analysis, tree, folded, entry, hookType) ?? declared(found, entry, hookType);
    if (place === null) missing.push(describeMissing(view, tree, folded, entry, index));
    const { tensor = null, after = null, because = '' } = place ?? {};
    const facts = tensor === null && after === null ? null : factsOf(analysis, tensor ?? after ?? '');
    for (const [key, said, seen] of [
      ['num_chs', entry.num_chs, facts?.numChs],
      ['reduction', entry.reduction, facts?.reduction],
    ] as const) {
      if (said != null && seen != null && said !== seen)
        warnings.push(`feature ${index} (${entry.module ?? tensor}): ${key} is ${seen} in the graph, not ${said}`);
    }
    return {
      dtype: null,
      shape: null,
      layout: null,
      prefixTokens: 0,
      grid: null,
      ...facts,
      numChs: facts?.numChs ?? entry.num_chs,
      reduction: facts?.reduction ?? entry.reduction,
      index,
      module: entry.module,
      tensor,
      folded: after,
      hookType,
      resolvedBy: 'explicit',
      confidence: 'high',
      because,
    };
  });
  if (missing.length > 0)
    throw new ResolveError(`the FeatureInfo names what the graph does not have: ${missing.join('; ')}`, {
      code: 'FEATX_RESOLVE_FEATURES',
      hint: `list the tensors with ${call('inspect', 'listTensors')}`,
    });
  return { features, outcome: `${plural(features.length, 'feature')}, as given`, warnings };
}

interface Located {
  readonly tensor: string | null;
  readonly after: string | null;
  readonly because: string;
}

function locate(
  view: GraphView,
  analysis: Analysis,
  tree: ModuleTree,
  folded: ReadonlyMap<string, string>,
  entry: FeatureEntry,
  hookType: HookType,
): Located | null {
  const tensor = entry['tensor'];
  if (typeof tensor === 'string')
    return hasTensor(view, tensor) ? { tensor, after: null, because: 'the tensor that was given' } : null;
  if (entry.module === null) return null;
  const module = tree.modules.get(entry.module);
  if (module !== undefined && entry.module !== '') {
    const tap = tapModule(view, analysis.whole, tree, module, hookType);
    const what = hookType === 'forward' ? 'ends in' : 'reads';
    if (tap.folded !== null)
      return {
        tensor: null,
        after: tap.folded,
        because: `the exporter folded the value of ${entry.module} into what follows`,
      };
    return tap.tensors.length === 0
      ? null
      : { tensor: tap.tensors[0], after: null, because: `what the module ${entry.module} ${what}` };
  }
  const after = folded.get(entry.module) ?? null;
  return after === null ? null : { tensor: null, after, because: `the exporter folded ${entry.module} away` };
}

/** A name that timm declares and that is no module of the network, where the graph shows the family it belongs to. */
function declared(found: () => Answer, { module }: FeatureEntry, hookType: HookType): Located | null {
  if (module === null || hookType !== 'forward') return null;
  const feature = found().features.find((candidate) => candidate.module === module);
  return feature === undefined ? null : { tensor: feature.tensor, after: feature.folded, because: feature.because };
}

function describeMissing(
  view: GraphView,
  tree: ModuleTree,
  folded: ReadonlyMap<string, string>,
  entry: FeatureEntry,
  index: number,
): string {
  const tensor = entry['tensor'];
  const name = typeof tensor === 'string' ? tensor : (entry.module ?? '');
  const near = nearestNames(
    name,
    typeof tensor === 'string' ? view.producerOf.keys() : [...tree.modules.keys(), ...folded.keys()].filter(Boolean),
  );
  return `entry ${index} ${typeof tensor === 'string' ? 'tensor' : 'module'} '${name}'${near.length > 0 ? ` (nearest: ${near.map(named).join(', ')})` : ''}`;
}
