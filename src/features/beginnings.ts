import { ResolveError, FeatxError } from '../errors.js';
import { hasTensor, tensorNames, type GraphView } from '../onnx/graph.js';
import type { InferredTypes } from '../onnx/types.js';
import { oneFeature, type Selector } from '../options/feature-kinds.js';
import { nearestNames } from '../options/nearest.js';
import { call, named, option } from '../options/words.js';
import { analyse } from './analysis.js';
import type { Resolution } from './feature.js';
import { innerNames } from './inner-tensors.js';
import { modulesOf } from './modules.js';
import { selectFeatures } from './select.js';
import type { SelectOptions } from './selectors.js';

/** What a cut begins with, as it was asked for and as the graph has it. */
export interface FoundBeginning {
  readonly name: string;
  readonly tensor: string;
  readonly module: string | null;
  readonly index: number | null;
  readonly group: string | null;
}

const MODULE = 'module:';

/** The option that names places: where a cut begins, or where a model is split. */
type Key = 'from' | 'at';

/**
 * What `from` and `at` mean: a tensor of that name, else the output of a module, else a feature by index; each tensor
 * once.
 * @throws ResolveError naming all that mean nothing
 */
export function findBeginnings(
  view: GraphView,
  types: InferredTypes,
  resolution: Resolution,
  from: readonly (string | number)[],
  options: SelectOptions = {},
  key: Key = 'from',
): readonly FoundBeginning[] {
  const found = new Map<string, FoundBeginning>();
  const problems: string[] = [];
  const hints = new Set<string>();
  for (const asked of from) {
    const name = String(asked);
    try {
      for (const beginning of oneBeginning(view, types, resolution, asked, options, key))
        if (!found.has(beginning.tensor)) found.set(beginning.tensor, beginning);
    } catch (error) {
      if (!(error instanceof FeatxError)) throw error;
      problems.push(error.message.includes(name) ? error.message : `${name}: ${error.message}`);
      if (error.hint !== undefined) hints.add(error.hint);
    }
  }
  if (problems.length === 0) return [...found.values()];
  throw new ResolveError(`${option(key)}: ${problems.join('; ')}`, {
    code: key === 'from' ? 'FEATX_RESOLVE_FROM' : 'FEATX_RESOLVE_AT',
    hint: [...hints].join('; ') || undefined,
  });
}

function oneBeginning(
  view: GraphView,
  types: InferredTypes,
  resolution: Resolution,
  asked: string | number,
  { flattenSequential, featureConcat, allowFolded }: SelectOptions,
  key: Key,
): readonly FoundBeginning[] {
  const name = String(asked);
  if (typeof asked === 'string' && hasTensor(view, name))
    return [{ name, tensor: name, module: null, index: null, group: null }];
  const selections = selectFeatures(view, types, resolution, {
    select: [selectorOf(view, types, name, key)],
    flattenSequential,
    featureConcat,
    allowFolded,
    codes: true,
  });
  return selections.flatMap(({ tensors, module, index, group }) =>
    tensors.map((tensor) => ({ name, tensor, module, index, group })),
  );
}

/** @throws ResolveError for what is neither */
function selectorOf(view: GraphView, types: InferredTypes, name: string, key: Key): Selector {
  if (name.startsWith(MODULE)) return { by: 'module', name: name.slice(MODULE.length) };
  if (/^(?:.+:)?-?\d{1,9}$/.test(name)) return oneFeature(option(key), /^-?\d+$/.test(name) ? Number(name) : name);
  if (modulesOf(view, analyse(view, types).whole).modules.has(name)) return { by: 'module', name };
  const places = innerNames(view, 'tensor', name);
  if (places.length > 0)
    throw new ResolveError(
      `the tensor '${name}' lives inside ${places[0].place}, and ${key === 'from' ? 'nothing in there can be an input of the graph' : 'a body is in one part'}`,
      {
        hint:
          places[0].instead.length === 0
            ? undefined
            : `${key === 'from' ? 'begin' : 'cut'} behind it, with ${option(key, [places[0].instead[0]])}`,
      },
    );
  const near = nearestNames(name, tensorNames(view));
  throw new ResolveError(
    `no tensor is named '${name}'${near.length > 0 ? ` (nearest: ${near.map(named).join(', ')})` : ''}`,
    {
      hint: `list every tensor with ${call('inspect', 'listTensors')}; a module is ${option(key, ['module:NAME'])}`,
    },
  );
}
