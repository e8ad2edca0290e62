import { escapeText } from './escape.js';
import type { ModuleTreeRecord } from './records.js';
import { FULL_DIMS, type ShortDims } from './short-dims.js';
import type { TextStyle } from './style.js';
import { isRoomy, renderTable, type Column } from './table.js';

const COLUMNS: readonly Column[] = [
  { title: 'module', least: 20, isFirm: true, isTree: true },
  { title: 'class', least: 8, expendable: 2, dim: true },
  { title: 'calls', align: 'right', expendable: 3 },
  { title: 'nodes', align: 'right', expendable: 4 },
  { title: 'shape', least: 12, isFirm: true },
  { title: 'outputs', least: 24, expendable: 1 },
];

/** Outputs that are spelled out; the others are counted. */
const MOST_OUTPUTS = 2;

/**
 * The modules as a tree: each in the module above it that is less indented. A module whose only content is the next one
 * still has a line, since it can be named.
 */
export function modulesText(modules: readonly ModuleTreeRecord[], style: TextStyle, dims: ShortDims): string {
  if (modules.length === 0) return 'the graph carries no module names\n';
  return renderTable(COLUMNS, moduleRows(modules, dims), style);
}

/** Whether the tree fits beside all that is said of its modules. */
export function isTreeRoomy(modules: readonly ModuleTreeRecord[], style: TextStyle): boolean {
  return isRoomy(COLUMNS, moduleRows(modules, FULL_DIMS), style);
}

function moduleRows(modules: readonly ModuleTreeRecord[], dims: ShortDims): readonly (readonly string[])[] {
  const around: string[] = [];
  return modules.map(({ path, class: name, calls, nodes, outputs }) => {
    while (around.length > 0 && !isModuleInside(path, around[around.length - 1])) around.pop();
    const own = around.length === 0 ? path : path.slice(around[around.length - 1].length + 1);
    const indent = '  '.repeat(around.length);
    around.push(path);
    const shown = outputs.slice(0, MOST_OUTPUTS).map(({ tensor }) => escapeText(tensor));
    const more = outputs.length - shown.length;
    const [first] = outputs;
    return [
      indent + escapeText(own),
      name === null ? '-' : escapeText(name.slice(name.lastIndexOf('.') + 1)),
      String(calls),
      String(nodes),
      first === undefined ? '-' : dims.shapeText(first.shape),
      shown.length === 0 ? '-' : `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`,
    ];
  });
}

function isModuleInside(path: string, parent: string): boolean {
  return path.startsWith(parent) && /^[./]/.test(path.slice(parent.length));
}
