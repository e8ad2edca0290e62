import { plural } from '../../wire/counted.js';
import { layersBehindPool, type Analysis } from '../analysis.js';
import { linksOf, type Link } from '../chain.js';
import { factsOf } from '../facts.js';
import { nodeAt } from '../flow.js';
import type { Confidence, Feature } from '../feature.js';
import type { ModuleTree } from '../modules.js';
import { isOneOf } from '../operators.js';
import { mapBesideToken, sumBesideDense } from './beside.js';
import { isotropicRun } from './isotropic.js';
import { levelsOf, withoutMeetingLaterals, type Level } from './levels.js';
import type { Answer } from './module-path.js';

/** What the whole chain says about how this network ends its blocks. */
interface Habits {
  /** Whether residual streams are summed raw (pre-activation, transformers) and not activated after the sum. */
  readonly raw: boolean;
  /** Whether blocks activate the stream first and hand on what no activation follows. */
  readonly activatesFirst: boolean;
  /** Whether a layer follows the pooling in front of the classifier. */
  readonly poolsEarly: boolean;
  /** Whether attention or GELU shows a network with a patch stem. */
  readonly patched: boolean;
}

/**
 * The features of a graph whose names say nothing: at each stride the last place where everything meets, walked back
 * over what belongs to the next block.
 */
export function resolveByTopology(analysis: Analysis, tree: ModuleTree): Answer {
  const links = withoutMeetingLaterals(analysis, linksOf(analysis));
  const run = isotropicRun(analysis, links);
  if (run !== null) {
    const picks = run.map(
      (link, at): Picked => ({
        link,
        confidence: 'high',
        because: `the end of block ${at} in a row of ${run.length} equal ones`,
      }),
    );
    return answer(analysis, tree, picks, `${run.length} equal blocks at stride ${run[0].stride}`);
  }
  const levels = levelsOf(analysis, links);
  const deepest = levels.at(-1);
  if (deepest === undefined || deepest.stride <= 1)
    return { features: [], outcome: 'no cut lies on a smaller map than the image', warnings: [] };
  const habits = habitsOf(analysis, links);
  const picks = levels.flatMap((level, at) =>
    isStem(links, level, habits) ? [] : [lastBlock(analysis, links, level, at === levels.length - 1, habits)],
  );
  return answer(analysis, tree, picks, `the end of ${plural(picks.length, 'stride')}, by the shape of the graph`);
}

interface Picked {
  readonly link: Link;
  readonly confidence: Confidence;
  readonly because: string;
}

function answer(analysis: Analysis, tree: ModuleTree, picks: readonly Picked[], outcome: string): Answer {
  const features = picks.map(({ link, confidence, because }, index): Feature => {
    const path = link.end > link.start ? tree.namedAt(link.end - 1) : '';
    return {
      ...factsOf(analysis, link.tensor),
      index,
      module: path === '' ? null : path,
      tensor: link.tensor,
      folded: null,
      hookType: 'forward',
      resolvedBy: 'topology',
      confidence,
      because,
    };
  });
  return { features, outcome, warnings: [] };
}

function habitsOf(analysis: Analysis, links: readonly Link[]): Habits {
  const { flow } = analysis;
  let raw = 0;
  let active = 0;
  let early = 0;
  links.forEach((link, at) => {
    if (!link.residual) return;
    early += isActivation(nodeAt(flow, link.start).opType) ? 1 : -1;
    if (links[at - 1]?.kind === 'add') raw++;
    else if (links[at - 1]?.kind === 'act') active++;
  });
  const patched = flow.rows.some(isOneOf(flow.columns, PATCHED));
  return {
    raw: raw > active,
    activatesFirst: raw > active && early > 0,
    poolsEarly: layersBehindPool(analysis) >= 2,
    patched: patched && (raw > 0 || active === 0),
  };
}

/** Ops of networks that begin with patches. */
const PATCHED = new Set(['Softmax', 'Erf', 'Gelu']);

function isActivation(opType: string): boolean {
  return ['Relu', 'Sigmoid', 'Erf', 'Gelu', 'Elu', 'LeakyRelu', 'Div', 'Mul', 'HardSwish', 'Tanh'].includes(opType);
}

/** A stem of plain convolutions that another one continues: patches, not a stage. */
function isStem(links: readonly Link[], level: Level, { patched, activatesFirst }: Habits): boolean {
  const own = links.slice(level.first, level.last + 1);
  const next = links[level.last + 1];
  if (next === undefined || (level.stride === 1 && !own.some(({ kind }) => kind === 'conv'))) return next !== undefined;
  return (
    patched &&
    !activatesFirst &&
    own.every(({ kind, conv }) => kind !== 'add' && kind !== 'concat' && kind !== 'block' && !conv?.depthwise) &&
    next.conv !== null &&
    (!next.conv.depthwise || next.conv.branches > 1) &&
    next.conv.to <= 2 * (own[own.length - 1].place.channels ?? 0)
  );
}

/** What was walked back over. */
type Step =
  | 'move'
  | 'pool'
  | 'norm'
  | 'sum'
  | 'preactivation'
  | 'activation'
  | 'expansion'
  | 'start'
  | 'transition'
  | 'prelude';

const STEP_WORDS: { readonly [step in Step]: string } = {
  move: 'a change of layout',
  pool: 'a pool of stride 1',
  norm: 'a norm',
  sum: 'what is done to the sum',
  preactivation: 'a norm and an activation',
  activation: 'the activation that the next block starts with',
  expansion: 'a widening 1x1 convolution',
  start: 'a depthwise start',
  transition: 'a narrowing 1x1 convolution',
  prelude: 'the blocks around the next downsampling',
};

/** Walks back from the end of a level over what belongs to the next block, or to the head. */
function lastBlock(
  analysis: Analysis,
  links: readonly Link[],
  level: Level,
  isDeepest: boolean,
  habits: Habits,
): Picked {
  const sum = sumBesideDense(analysis, links, level);
  if (sum !== null)
    return {
      link: sum,
      confidence: 'medium',
      because: `the residual sum at stride ${level.stride}, in front of what is laid beside it`,
    };
  const steps: Step[] = [];
  const tap = isDeepest ? null : lastTapped(analysis, links, level);
  let at = tap ?? level.last;
  for (
    let step = stepBack(links, at, level, isDeepest, habits, steps);
    step !== null && at > level.first;
    step = stepBack(links, at, level, isDeepest, habits, steps)
  ) {
    steps.push(step.over);
    at = Math.max(level.first, step.to);
  }
  const map = laidOut(links, at, level);
  const laid = `the last block at stride ${level.stride}, laid out as its stage is`;
  if (map !== null)
    return {
      link: links[map],
      confidence: links.slice(at + 1, map).some(({ kind }) => kind === 'norm') ? 'medium' : 'high',
      because: laid,
    };
  const split = isDeepest ? null : mapBesideToken(analysis, links[at]);
  if (split !== null) return { link: split, confidence: 'medium', because: `${laid}, its prefix tokens aside` };
  const link = links[at];
  const over = [...new Set(steps)].map((step) => STEP_WORDS[step]);
  const because = `the last place at stride ${level.stride} where everything meets${over.length > 0 ? `, in front of ${over.join(', ')}` : ''}`;
  return { link, confidence: confidenceOf(links, at, steps), because };
}

/** The last cut of a level that something else than the backbone reads: a lateral, a head, an output. */
function lastTapped({ tapped }: Analysis, links: readonly Link[], level: Level): number | null {
  for (let at = level.last; at >= level.first; at--) if (tapped.has(links[at].tensor)) return at;
  return null;
}

/**
 * Where a level's end gets the layout that its stage works in, before anything but a norm of tokens happens to it: a
 * map with channels first where the whole stage works on tokens; null where it has it.
 */
function laidOut(links: readonly Link[], end: number, level: Level): number | null {
  const first = links
    .slice(level.first, end + 1)
    .find(({ kind }) => kind === 'add' || kind === 'concat' || kind === 'block');
  const layout = first?.place.axes?.join('') ?? '';
  const target = layout.includes('L') ? 'NCHW' : layout;
  const isTokens = links[end].place.axes?.includes('L') === true;
  if (first === undefined || links[end].place.axes?.join('') === target) return null;
  let found: number | null = null;
  for (
    let at = end + 1;
    at <= level.last &&
    (links[at].kind === 'move' || (isTokens && links[at].kind === 'norm' && links[at].place.axes?.includes('L')));
    at++
  ) {
    const axes = links[at].place.axes?.join('');
    if (axes === target || (isTokens && axes === 'NCHW')) found ??= at;
    if (isTokens && axes === 'NCHW') return at;
  }
  return found;
}

function stepBack(
  links: readonly Link[],
  at: number,
  level: Level,
  isDeepest: boolean,
  habits: Habits,
  steps: readonly Step[],
): { readonly to: number; readonly over: Step } | null {
  if (at <= level.first) return null;
  const { kind, conv } = links[at];
  const before = links[at - 1];
  const next = links[level.last + 1];
  if (kind === 'move') return { to: at - 1, over: 'move' };
  if (kind === 'pool') return { to: at - 1, over: 'pool' };
  if (kind === 'norm' && isMeeting(links, at - 1, level)) return { to: at - 1, over: 'norm' };
  const sum = habits.raw ? preludeStart(links, at, level) : null;
  if (sum !== null) return { to: sum, over: 'sum' };
  if (habits.activatesFirst && kind === 'act' && before.kind === 'conv') return { to: at - 1, over: 'activation' };
  if (
    kind === 'act' &&
    before.kind === 'norm' &&
    isMeeting(links, at - 2, level) &&
    !(isDeepest && links[at - 2]?.kind === 'concat')
  )
    return { to: at - 2, over: 'preactivation' };
  const leavesLevel =
    isInsideBottleneck(links, level.last + 1) || (isDeepest && !habits.poolsEarly && links[at - 2]?.kind !== 'act');
  const widened = kind === 'act' && leavesLevel ? beforeExpansion(links, at, level) : null;
  if (widened !== null) return { to: widened, over: 'expansion' };
  if (kind === 'conv' && steps.includes('expansion') && conv?.depthwise === true) return { to: at - 1, over: 'start' };
  if (kind === 'conv' && next?.kind === 'pool' && conv?.kernel === 1 && before.kind === 'act')
    return { to: at - 1, over: 'transition' };
  const prelude = steps.includes('prelude') ? null : preludeOfDownsampling(links, at, level);
  if (prelude !== null) return { to: prelude, over: 'prelude' };
  return null;
}

/**
 * Whether a strided convolution works on channels alone or in groups, or keeps the width that a 1x1 convolution then
 * narrows: the middle of an inverted bottleneck.
 */
function isInsideBottleneck(links: readonly Link[], at: number): boolean {
  const conv = links[at]?.conv;
  if (conv == null) return false;
  const behind = links.findIndex(({ kind }, index) => index > at && !['act', 'norm', 'scale'].includes(kind));
  const point = links[behind]?.conv;
  const narrows = point != null && point.kernel === 1 && point.to < point.from;
  if (!conv.depthwise) return conv.from === conv.to && narrows;
  // MobileNetV1: depthwise and pointwise convolutions take turns, each activated, and none narrows.
  const isPlain = point != null && point.kernel === 1 && links[behind + 1]?.kind === 'act';
  return !isPlain || narrows;
}

/**
 * The place in front of a depthwise residual and a feed-forward residual that stand around a depthwise downsampling,
 * which another feed-forward residual follows (EfficientViT of MSRA, SHViT, RepViT), or null.
 */
function preludeOfDownsampling(links: readonly Link[], at: number, level: Level): number | null {
  if (at - 2 < level.first || !isConvResidual(links[at], 2) || !isMixing(links[at - 1])) return null;
  let behind = level.last + 1;
  if (links[behind]?.conv?.depthwise !== true) return null;
  for (behind++; links[behind]?.kind === 'act' || links[behind]?.kind === 'scale'; ) behind++;
  const widens = links[behind]?.conv;
  if (widens == null || widens.kernel !== 1 || widens.to <= (links[at].place.channels ?? Infinity)) return null;
  const first = links[behind + 1];
  const feeds = first !== undefined && isMixing(first) ? links[behind + 2] : first;
  return feeds !== undefined && isConvResidual(feeds, 2) && feeds.size === links[at].size ? at - 2 : null;
}

function isConvResidual(link: Link, convs: number): boolean {
  return link.residual && link.convs === convs && link.size >= convs + 2;
}

/** A residual of depthwise convolutions alone. */
function isMixing({ residual, convs, size, sums }: Link): boolean {
  return residual && convs > 0 && size === convs + sums;
}

/** As measured on graphs whose answer is known: the ends that were right in at least 98 of 100 cases are sure. */
function confidenceOf(links: readonly Link[], at: number, steps: readonly Step[]): Confidence {
  const { kind } = links[at];
  const widens = steps.includes('expansion');
  switch (kind) {
    case 'add':
      return steps.length === 0 ||
        steps.includes('prelude') ||
        (widens && !steps.includes('start')) ||
        (steps.length > 2 && steps.at(-1) === 'norm') ||
        isUnsettled(links[at])
        ? 'medium'
        : 'high';
    case 'act':
      return widens || (links[at - 1]?.kind === 'add' && !normsSums(links)) || (links[at - 1]?.conv?.branches ?? 1) > 1
        ? 'high'
        : 'medium';
    case 'concat':
      return widens || steps.includes('transition') ? 'high' : 'low';
    case 'conv':
      return steps.includes('activation') || steps.at(-1) === 'move' || links[at].normed ? 'medium' : 'high';
    case 'scale':
      return 'high';
    case 'block':
    case 'move':
    case 'norm':
    case 'pool':
      return 'medium';
  }
}

/** Whether sums meet a norm more often than an activation: one that is activated at once may then be the head's. */
function normsSums(links: readonly Link[]): boolean {
  const behind = (kind: Link['kind']): number =>
    links.filter((link, at) => link.kind === kind && links[at - 1]?.kind === 'add').length;
  return behind('norm') > behind('act');
}

/**
 * Whether the layout of a level's end is not what a map's is: authors then differ in whether the change of layout is
 * part of the stage.
 */
function isUnsettled({ place }: Link): boolean {
  return place.axes?.join('') !== 'NCHW';
}

/** The sum behind which a run of norms, activations and changes of layout leads to a link, or null. */
function preludeStart(links: readonly Link[], at: number, level: Level): number | null {
  let index = at;
  while (
    index > level.first &&
    (links[index].kind === 'act' || links[index].kind === 'norm' || links[index].kind === 'move')
  )
    index--;
  return index < at && links[index].kind === 'add' ? index : null;
}

/** Whether branches meet at a link, moves aside. */
function isMeeting(links: readonly Link[], at: number, level: Level): boolean {
  let index = at;
  while (index >= level.first && links[index].kind === 'move') index--;
  return index >= level.first && ['add', 'concat', 'block'].includes(links[index].kind);
}

/**
 * The place in front of a 1x1 convolution, or one trained in branches, that widens what a block has finished and is
 * gated and activated here: not what a depthwise convolution hands to it inside the block.
 */
function beforeExpansion(links: readonly Link[], at: number, level: Level): number | null {
  const from = links[at - 1]?.kind === 'scale' ? at - 2 : at - 1;
  const conv = links[from]?.conv;
  const widens =
    conv != null &&
    (conv.branches > 1 || (conv.kernel === 1 && !conv.depthwise)) &&
    conv.to > conv.from &&
    conv.stride === 1;
  return widens && from > level.first && isFinished(links, from - 1) ? from - 1 : null;
}

function isFinished(links: readonly Link[], from: number): boolean {
  let at = from;
  while (at > 0 && links[at].kind === 'move') at--;
  const { kind } = links[at];
  if (kind === 'conv' || kind === 'add' || kind === 'concat' || kind === 'block') return true;
  const before = links[at - 1];
  if (kind !== 'act' || before === undefined) return false;
  if (before.kind === 'add') return true;
  if (before.conv === null || before.conv.kernel <= 1) return false;
  return !before.conv.depthwise || isStart(links, at - 1);
}

/**
 * Whether a depthwise convolution is the second of the network, behind a plain one of the same width: the start of
 * MobileFaceNet.
 */
function isStart(links: readonly Link[], at: number): boolean {
  const layers = links.slice(0, at).filter(({ conv }) => conv !== null);
  return layers.length === 1 && layers[0].conv?.kernel !== 1 && layers[0].conv?.to === links[at].conv?.from;
}
