import { layersBehindPool, type Analysis } from '../analysis.js';
import type { Link } from '../chain.js';
import type { Lateral } from '../laterals.js';
import { nodeIf } from '../flow.js';
import { intOf } from '../node-attributes.js';
import { matrixWidths, weightDims } from '../weights.js';

/** Links at one stride: what may be a feature of it. */
export interface Level {
  readonly stride: number;
  readonly first: number;
  readonly last: number;
}

/** Steps back over a neck, and kinds of laterals: more than any network has. */
const MOST_ROUNDS = 16;

/**
 * Runs of links at one stride, strides rising, without what is in front of the first weight, or behind the backbone.
 */
export function levelsOf(analysis: Analysis, links: readonly Link[]): readonly Level[] {
  const levels: Level[] = [];
  const start = links.findIndex(({ isWeighted }) => isWeighted);
  links.forEach(({ stride }, at) => {
    if (start < 0 || at < start) return;
    const last = levels.at(-1);
    if (last === undefined || stride > last.stride) levels.push({ stride, first: at, last: at });
    else if (stride === last.stride) levels[levels.length - 1] = { ...last, last: at };
  });
  const deepest = levels.at(-1);
  if (deepest === undefined) return levels;
  const end = analysis.classifies ? withoutScores(analysis, links, deepest) : withoutNeck(analysis, links, deepest);
  if (end < deepest.first) return levels.slice(0, -1);
  const isPool = links.slice(deepest.first, end + 1).every(({ kind }) => kind === 'pool' || kind === 'move');
  const poolsOnly = levels.slice(1, -1).every(({ first }) => links[first].kind === 'pool');
  if (isPool && !poolsOnly) return levels.slice(0, -1);
  return [...levels.slice(0, -1), { ...deepest, last: end }].flatMap((level) => stagesOf(links, level));
}

/**
 * A level in stages where dilation takes the place of strides: each begins with a sum that widens, and dilates more
 * than the one before.
 */
function stagesOf(links: readonly Link[], level: Level): readonly Level[] {
  const most = (from: number, to: number): number =>
    links.slice(from, to).reduce((dilation, link) => Math.max(dilation, link.dilation), 1);
  const starts: number[] = [];
  for (let at = level.first + 1; at <= level.last; at++) {
    const { kind, residual, place } = links[at];
    if (kind === 'add' && !residual && (place.channels ?? 0) > (links[at - 1].place.channels ?? Infinity))
      starts.push(at);
  }
  const stages: Level[] = [];
  let first = level.first;
  let before = most(first, starts[0] ?? first);
  starts.forEach((start, index) => {
    const next = starts[index + 1] ?? level.last + 1;
    const grows = most(start + 1, next) > before;
    const own = most(start, next);
    before = grows ? own : Math.max(before, own);
    if (!grows) return;
    stages.push({ ...level, first, last: start - 1 });
    first = start;
  });
  return [...stages, { ...level, first }];
}

/**
 * Widths of the classifiers of ImageNet: a last convolution of one is a classifier's even where it is activated
 * (SqueezeNet).
 */
const CLASSES = new Set([1000, 1001, 21841, 21843]);

/** The end of the deepest level in front of a convolution whose pooled maps are the scores. */
function withoutScores(analysis: Analysis, links: readonly Link[], { first, last }: Level): number {
  if (layersBehindPool(analysis) > 0) return last;
  let end = last;
  while (end > first && (links[end].kind === 'move' || links[end].kind === 'pool')) end--;
  const isActive = links[end].kind === 'act';
  const { conv } = links[isActive ? end - 1 : end] ?? {};
  if (conv == null || conv.depthwise || links[isActive ? end - 1 : end].normed) return last;
  if (isActive && !CLASSES.has(conv.to)) return last;
  return end - (isActive ? 2 : 1);
}

/**
 * Links up to where two laterals of one stride meet: a decoder that reads two places of the deepest level before it
 * goes up.
 */
export function withoutMeetingLaterals(analysis: Analysis, links: readonly Link[]): readonly Link[] {
  const { view, flow, geometry, laterals, classifies } = analysis;
  const widths = new Set(laterals.flatMap((lateral) => shapeOf(view, lateral)?.width ?? []));
  const deepest = links.at(-1)?.stride;
  if (classifies || widths.size === 0) return links;
  for (let index = links.findIndex(({ stride }) => stride === deepest); index < links.length; index++) {
    const { start, end: behind } = links[index];
    const meeting = behind > start ? nodeIf(flow, behind - 1) : undefined;
    if (meeting === undefined || (meeting.opType !== 'Concat' && meeting.opType !== 'Add')) continue;
    const operands = meeting.inputs.filter((name) => flow.position.has(name));
    const sources = operands.flatMap((name) => projectedFrom(analysis, name, widths) ?? []);
    if (operands.length < 2 || sources.length < operands.length || new Set(sources).size < 2) continue;
    const end = sources.reduce((a, b) => ((flow.position.get(b) ?? 0) > (flow.position.get(a) ?? 0) ? b : a));
    const place = geometry.get(end);
    if (place === undefined) continue;
    const isSum = nodeIf(flow, flow.position.get(end))?.opType === 'Add';
    const last: Link = {
      ...links[index],
      tensor: end,
      place,
      end: Math.min(behind, (flow.position.get(end) ?? 0) + 1),
      kind: isSum ? 'add' : 'block',
      conv: null,
      residual: isSum,
    };
    return [...links.slice(0, index), last];
  }
  return links;
}

/** Whether a depthwise convolution made a tensor, an activation behind it or not: the middle of a block. */
function isDepthwise(flow: Analysis['flow'], name: string): boolean {
  let node = nodeIf(flow, flow.position.get(name));
  if (node?.opType === 'Relu' || node?.opType === 'Clip') node = nodeIf(flow, flow.position.get(node.inputs[0]));
  return node?.opType === 'Conv' && intOf(node, 'group', 1) > 1;
}

/**
 * What a 1x1 convolution of a lateral's width reads, an activation behind it or not; null where the tensor is made
 * otherwise.
 */
function projectedFrom({ view, flow }: Analysis, name: string, widths: ReadonlySet<number>): string | null {
  let node = nodeIf(flow, flow.position.get(name));
  if (node?.opType === 'Relu' || node?.opType === 'Clip') node = nodeIf(flow, flow.position.get(node.inputs[0]));
  if (node?.opType !== 'Conv') return null;
  const dims = weightDims(view, node.inputs[1]);
  const [source] = node.inputs;
  if (dims === null || !dims.slice(2).every((dim) => dim === 1) || !widths.has(dims[0])) return null;
  return isDepthwise(flow, source) ? null : source;
}

/**
 * Where the deepest level of a network with maps for outputs ends: in front of what its neck and its heads begin with.
 */
function withoutNeck(analysis: Analysis, links: readonly Link[], level: Level): number {
  const shapes = lateralShapes(analysis);
  let end = level.last;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const next =
      beforeLateral(shapes, links, level, end) ??
      beforeReduction(analysis, shapes, links, level, end) ??
      beforeHeadConvs(links, level, end);
    if (next === null || next >= end) break;
    end = next;
  }
  return end;
}

/** Kernels of the convolutions of a lateral, in order, and the width it ends in. */
interface LateralShape {
  readonly kernels: readonly number[];
  readonly width: number;
}

/** The different kinds of laterals, few as they are in any network. */
function lateralShapes({ view, laterals }: Analysis): readonly LateralShape[] {
  const shapes = new Map<string, LateralShape>();
  for (const lateral of laterals) {
    const shape = shapeOf(view, lateral);
    if (shape !== null) shapes.set(`${shape.kernels.join()} ${shape.width}`, shape);
  }
  return [...shapes.values()].slice(0, MOST_ROUNDS);
}

/** In front of convolutions that are the same as those of the laterals of shallower levels. */
function beforeLateral(
  shapes: readonly LateralShape[],
  links: readonly Link[],
  level: Level,
  end: number,
): number | null {
  for (const { kernels, width } of shapes) {
    let at = end;
    let matched = 0;
    while (at >= level.first && matched < kernels.length) {
      const { kind, conv, matrix, residual, convs } = links[at];
      const [kernel, to] = conv === null ? [1, matrix?.[1]] : [conv.kernel, conv.to];
      if (to !== undefined) {
        if (kernel !== kernels[kernels.length - 1 - matched] || conv?.depthwise === true) break;
        if (matched === 0 && to !== width) break;
        matched++;
      } else if (!['act', 'norm', 'scale', 'move'].includes(kind) && !(kind === 'add' && residual && convs === 0))
        break;
      at--;
    }
    if (matched === kernels.length && at >= level.first && isEnd(links, at)) return at;
  }
  return null;
}

function shapeOf(view: Analysis['view'], { convs }: Lateral): LateralShape | null {
  const dims = convs.map(({ inputs }) => weightDims(view, inputs[1]));
  const kernels = dims.map((dim) => (dim ?? []).slice(2).reduce((most, size) => Math.max(most, size), 1));
  const last = convs.at(-1);
  const width = last === undefined ? undefined : (matrixWidths(view, last)?.[1] ?? dims.at(-1)?.[0]);
  return width === undefined ? null : { kernels, width };
}

/**
 * In front of a convolution of size 1 that narrows, from where the map goes up, unless it joins what a Concat has laid
 * together.
 */
function beforeReduction(
  { sentUp }: Analysis,
  shapes: readonly LateralShape[],
  links: readonly Link[],
  level: Level,
  end: number,
): number | null {
  const widths = new Set(shapes.map(({ width }) => width));
  const narrows = (at: number): boolean => {
    const conv = links[at].conv;
    return (
      conv !== null &&
      conv.kernel === 1 &&
      conv.to < conv.from &&
      links[at - 1]?.kind !== 'concat' &&
      isEnd(links, at - 1)
    );
  };
  const isSent = sentUp.has(links[end].tensor);
  for (let at = level.first + 1; at <= end; at++) if (narrows(at) && widths.has(links[at].conv?.to ?? 0)) return at - 1;
  let last = end;
  while (last > level.first && (links[last].kind === 'act' || links[last].kind === 'norm')) last--;
  return isSent && last > level.first && narrows(last) ? last - 1 : null;
}

/** In front of plain convolutions behind the last sum. */
function beforeHeadConvs(links: readonly Link[], level: Level, end: number): number | null {
  let at = end;
  let convs = 0;
  while (at >= level.first && ['conv', 'act', 'norm', 'move', 'scale'].includes(links[at].kind)) {
    if (links[at].conv?.depthwise === true) return null;
    if (links[at].conv !== null) convs++;
    at--;
  }
  if (convs === 0 || at < level.first || links[at].kind !== 'add') return null;
  while (at < end && (links[at + 1].kind === 'act' || links[at + 1].kind === 'norm')) at++;
  return at;
}

/** Whether a level may end at a link: not inside a block, behind its depthwise convolution. */
function isEnd(links: readonly Link[], at: number): boolean {
  let index = at;
  while (index > 0 && ['act', 'norm', 'scale', 'move'].includes(links[index].kind)) index--;
  return links[index]?.conv?.depthwise !== true;
}
