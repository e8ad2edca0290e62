import type { InspectReport } from '../core.js';
import { escapeText } from '../report/escape.js';
import type { FeatureRecord, ModuleTreeRecord } from '../report/records.js';
import { shapeText } from '../report/shapes.js';
import { featureChoice, namedChoice, type Choice } from './choices.js';
import { element, table } from './dom.js';

/** Called when something is taken or left. */
export type Toggle = (choice: Choice) => void;

/** A box to tick that takes something. Boxes of one choice are found by their key. */
function box(choice: Choice, toggle: Toggle): HTMLElement {
  return element('input', {
    type: 'checkbox',
    'data-key': choice.key,
    'aria-label': `take ${escapeText(choice.label)}`,
    change: () => toggle(choice),
  });
}

/** The features of a model: its FeatureInfo, its groups and its embeddings, each with a box to tick. */
export function featureLists(
  { feature_info: info, groups, embeddings }: InspectReport,
  toggle: Toggle,
): readonly Node[] {
  const lists: Node[] =
    info.length === 0
      ? [
          element(
            'p',
            { class: 'soft' },
            'No backbone with a pyramid or blocks was found; take modules or tensors by name.',
          ),
        ]
      : [features('FeatureInfo', info, toggle)];
  for (const { name, features: list } of groups) lists.push(features(name, list, toggle, name));
  if (embeddings.length > 0)
    lists.push(
      section(
        'Embeddings',
        table(
          ['take', 'role', 'channels', 'tensor', 'because'],
          embeddings.map(({ role, num_chs: channels, tensor, because }) => [
            box({ key: `embedding ${role}`, selector: { by: 'embedding', role }, label: `embedding ${role}` }, toggle),
            role,
            String(channels ?? '?'),
            code(tensor),
            because,
          ]),
          new Set([2]),
        ),
      ),
    );
  return lists;
}

function features(title: string, list: readonly FeatureRecord[], toggle: Toggle, group?: string): HTMLElement {
  return section(
    title,
    table(
      ['take', 'index', 'module', 'channels', 'stride', 'shape', 'dtype', 'tensor', 'confidence'],
      list.map(({ index, module, num_chs: channels, reduction, shape, dtype, tensor, confidence, because }) => [
        tensor === null ? '' : box(featureChoice(index, module, group), toggle),
        String(index),
        escapeText(module ?? ''),
        String(channels ?? '?'),
        String(reduction ?? ''),
        shapeText(shape),
        dtype ?? '?',
        tensor === null ? 'not in this file' : code(tensor),
        element('span', { title: escapeText(because) }, confidence),
      ]),
      new Set([1, 3, 4]),
    ),
  );
}

function section(title: string, ...content: readonly Node[]): HTMLElement {
  return element('section', { 'aria-label': escapeText(title) }, element('h3', {}, escapeText(title)), ...content);
}

function code(text: string): HTMLElement {
  return element('code', {}, escapeText(text));
}

interface Branch {
  readonly module: ModuleTreeRecord;
  readonly inside: Branch[];
}

/** The modules of a model as a tree; what lies inside one is made when it is opened. */
export function moduleTree(
  modules: readonly ModuleTreeRecord[],
  toggle: Toggle,
  isTaken: (key: string) => boolean,
): Node {
  const roots: Branch[] = [];
  const trail: Branch[] = [];
  for (const module of modules) {
    while (trail.length > 0 && !isInside(module.path, trail[trail.length - 1].module.path)) trail.pop();
    const branch = { module, inside: [] };
    (trail.at(-1)?.inside ?? roots).push(branch);
    trail.push(branch);
  }
  return branchList(roots, toggle, isTaken);
}

function isInside(path: string, parent: string): boolean {
  return path.startsWith(`${parent}.`) || path.startsWith(`${parent}/`);
}

function branchList(branches: readonly Branch[], toggle: Toggle, isTaken: (key: string) => boolean): HTMLElement {
  return element(
    'ul',
    { class: 'tree' },
    ...branches.map(({ module, inside }) => {
      const line = moduleLine(module, toggle, isTaken);
      if (inside.length === 0) return element('li', {}, line);
      const more = element('details', {}, element('summary', {}, `${inside.length} inside ${escapeText(module.path)}`));
      more.addEventListener('toggle', () => more.append(branchList(inside, toggle, isTaken)), { once: true });
      return element('li', {}, line, more);
    }),
  );
}

function moduleLine(
  { path, class: kind, nodes, outputs }: ModuleTreeRecord,
  toggle: Toggle,
  isTaken: (key: string) => boolean,
): HTMLElement {
  const line = element('div', { class: 'module' });
  const choice = namedChoice('module', path);
  if (outputs.length > 0) {
    const tick = box(choice, toggle);
    if (tick instanceof HTMLInputElement) tick.checked = isTaken(choice.key);
    line.append(tick);
  }
  line.append(
    element('strong', {}, escapeText(path)),
    element(
      'span',
      { class: 'soft' },
      ` ${kind === null ? '' : `${escapeText(kind)}, `}${nodes} ${nodes === 1 ? 'node' : 'nodes'}${outputs.length === 0 ? '' : `, ${outputs.map(({ shape }) => shapeText(shape)).join(' ')}`}`,
    ),
  );
  return line;
}
