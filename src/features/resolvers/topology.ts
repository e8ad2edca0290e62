import type { Analysis } from '../analysis.js';
import { linksOf, type Link } from '../chain.js';
import { factsOf } from '../facts.js';
import type { Feature } from '../feature.js';
import { isotropicRun } from './isotropic.js';
import type { Answer } from './module-path.js';

/** What the whole chain says about how this network ends its blocks. */
interface Habits {
  /** Whether residual streams are summed raw (pre-activation, transformers) and not activated after the sum. */
  readonly raw: boolean;
  /** Whether a layer follows the pooling in front of the classifier. */
  readonly poolsEarly: boolean;
  /** Whether attention or GELU shows a network with a patch stem. */
  readonly patched: boolean;
}

/** The features of a graph whose names say nothing: at each stride the last place where everything meets, walked back over what belongs to the next block. */
export function resolveByTopology(analysis: Analysis): Answer {
  const links = linksOf(analysis);
  const run = isotropicRun(analysis, links);
  if (run !== null) {
    return answer(analysis, run.map((link) => ({ link, why: 'one of a row of equal blocks', tag: 'iso' })), `${run.length} equal blocks at stride ${run[0].stride}`);
  }
  const levels = levelsOf(links);
  const deepest = levels.at(-1);
  if (deepest === undefined || deepest.stride <= 1) return { features: [], outcome: 'no cut lies on a smaller map than the image', warnings: [] };
  const habits = habitsOf(analysis, links);
  const picks = levels.flatMap((level, at) => (isStem(links, level, habits) ? [] : [lastBlock(links, level, at === levels.length - 1, habits)]));
  return answer(analysis, picks, `${picks.length} strides, by the shape of the graph`);
}

interface Picked {
  readonly link: Link;
  readonly why: string;
  readonly tag: string;
}

function answer(analysis: Analysis, picks: readonly Picked[], outcome: string): Answer {
  const features = picks.map(({ link, why, tag }, index): Feature => ({
    ...factsOf(analysis, link.tensor), index, module: null, tensor: link.tensor, folded: null, hookType: 'forward', resolvedBy: 'topology', confidence: 'low', because: `${tag}: ${why}, at stride ${link.stride}`,
  }));
  return { features, outcome, warnings: [] };
}

interface Level {
  readonly stride: number;
  readonly first: number;
  readonly last: number;
}

/** Runs of links at one stride, strides rising. */
function levelsOf(links: readonly Link[]): readonly Level[] {
  const levels: Level[] = [];
  links.forEach(({ stride }, at) => {
    const last = levels.at(-1);
    if (last === undefined || stride > last.stride) levels.push({ stride, first: at, last: at });
    else if (stride === last.stride) levels[levels.length - 1] = { ...last, last: at };
  });
  return levels;
}

function habitsOf({ flow, geometry }: Analysis, links: readonly Link[]): Habits {
  let raw = 0;
  let active = 0;
  links.forEach((link, at) => {
    if (!link.residual) return;
    if (links[at - 1]?.kind === 'add') raw++;
    else if (links[at - 1]?.kind === 'act') active++;
  });
  const pooled = flow.nodes.filter((node) => ['Conv', 'Gemm', 'MatMul'].includes(node.opType) && geometry.get(node.outputs[0])?.pooled === true && (flow.cuts.includes(node.outputs[0]))).length;
  const patched = flow.nodes.some(({ opType }) => opType === 'Softmax' || opType === 'Erf' || opType === 'Gelu');
  return { raw: raw > active, poolsEarly: pooled >= 2, patched };
}

/** A stem of plain convolutions that another one continues: patches, not a stage. */
function isStem(links: readonly Link[], level: Level, { patched }: Habits): boolean {
  const own = links.slice(level.first, level.last + 1);
  const next = links[level.last + 1];
  if (next === undefined || level.stride === 1 && !own.some(({ kind }) => kind === 'conv')) return next !== undefined;
  return patched && own.every(({ kind, conv }) => kind !== 'add' && kind !== 'concat' && kind !== 'block' && !conv?.depthwise) && next.conv !== null && !next.conv.depthwise && next.conv.to <= 2 * (own[own.length - 1].place.channels ?? 0);
}

/** Walks back from the end of a level over what belongs to the next block, or to the head. */
function lastBlock(links: readonly Link[], level: Level, isDeepest: boolean, habits: Habits): Picked {
  const next = links[level.last + 1];
  const intoDepthwise = next?.conv?.depthwise === true;
  const intoPool = next?.kind === 'pool';
  let at = level.last;
  let why = 'the last cut';
  let tag = 'last';
  let expanded = false;
  const back = (to: number, reason: string, mark: string): void => {
    [at, why, tag] = [to, `${reason} left to the next block`, `${tag}<${mark}`];
  };
  while (at > level.first) {
    const { kind, conv, nodes } = links[at];
    const before = links[at - 1];
    if (kind === 'move') back(at - 1, 'a change of layout', 'move');
    else if (kind === 'pool' && nodes.length > 0) back(at - 1, 'a pool of stride 1', 'pool');
    else if (kind === 'norm' && isMeeting(links, at - 1, level)) back(at - 1, 'a norm', 'norm');
    else if (habits.raw && preludeStart(links, at, level) !== null) back(preludeStart(links, at, level) ?? at, 'what is done to the sum', 'raw');
    else if (kind === 'act' && before.kind === 'norm' && isMeeting(links, at - 2, level) && !(isDeepest && links[at - 2]?.kind === 'concat')) back(at - 2, 'a norm and an activation', 'normact');
    else if (kind === 'act' && isExpansion(links, at, level) && (intoDepthwise || (isDeepest && !habits.poolsEarly && links[at - 2].kind !== 'act'))) {
      back(at - 2, isDeepest ? 'a head of 1x1' : 'an expansion of 1x1', 'expand');
      expanded = true;
    } else if (kind === 'conv' && expanded && conv?.depthwise === true) back(at - 1, 'a depthwise start', 'dwstart');
    else if (kind === 'conv' && intoPool && conv?.kernel === 1 && before.kind === 'act') back(at - 1, 'a transition of 1x1', 'transition');
    else break;
  }
  return { link: links[at], why, tag: `${tag}@${links[at].kind}${at > 0 && links[at].kind === 'act' ? '/' + links[at - 1].kind : ''}` };
}

/** The sum behind which a run of norms, activations and changes of layout leads to a link, or null. */
function preludeStart(links: readonly Link[], at: number, level: Level): number | null {
  let index = at;
  while (index > level.first && (links[index].kind === 'act' || links[index].kind === 'norm' || links[index].kind === 'move')) index--;
  return index < at && links[index].kind === 'add' ? index : null;
}

/** Whether branches meet at a link, moves aside. */
function isMeeting(links: readonly Link[], at: number, level: Level): boolean {
  let index = at;
  while (index >= level.first && links[index].kind === 'move') index--;
  return index >= level.first && ['add', 'concat', 'block'].includes(links[index].kind);
}

/** An activation behind a 1x1 convolution that widens what a block has finished: not what a depthwise convolution hands to it inside the block. */
function isExpansion(links: readonly Link[], at: number, level: Level): boolean {
  const conv = links[at - 1]?.conv;
  return conv != null && conv.kernel === 1 && !conv.depthwise && conv.to > conv.from && at - 2 >= level.first && isFinished(links, at - 2);
}

function isFinished(links: readonly Link[], from: number): boolean {
  let at = from;
  while (at > 0 && links[at].kind === 'move') at--;
  const { kind } = links[at];
  if (kind === 'conv' || kind === 'add' || kind === 'concat' || kind === 'block') return true;
  const before = links[at - 1];
  return kind === 'act' && before !== undefined && (before.kind === 'add' || (before.conv !== null && before.conv.kernel > 1 && !before.conv.depthwise));
}
