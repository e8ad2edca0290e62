import { groupRange } from '../features/suggestion.js';
import { flagOf } from '../options/table.js';
import { escapeText } from './escape.js';
import { isTreeRoomy, modulesText } from './modules-text.js';
import { pyramidBars } from './pyramid.js';
import type {
  ExplanationRecord,
  FeatureRecord,
  GroupRecord,
  InspectReport,
  ModelRecord,
  NodeTensorRecord,
  SelectedRecord,
  TensorRecord,
} from './records.js';
import { indexText, kindText, shapeText, strideText } from './shapes.js';
import { paint, type TextStyle } from './style.js';
import { FULL_DIMS, legendText, shortDims, type ShortDims } from './short-dims.js';
import { COLUMN_GAP, isRoomy, leftOutText, renderTable, type Column } from './table.js';
import { bytesText } from './units.js';
import { countText, plural } from '../wire/counted.js';
import { displayWidth, filled, padEnd, shorten, wrapped } from './width.js';

/** The report as a person reads it: the model in a few lines, then the table of its features. */
export function inspectText(report: InspectReport, style: TextStyle): string {
  const dims = dimsOf(report, style);
  const parts = [modelText(report, style, dims), featuresText(report, style, dims)];
  if (report.selected !== undefined) parts.push(selectedText(report.selected, style));
  if (report.explain !== undefined) parts.push(explanationText(report.explain, style));
  if (report.modules !== undefined) parts.push(modulesText(report.modules, style, dims));
  if (report.tensors !== undefined) parts.push(tensorsText(report.tensors, style));
  return parts.filter((part) => part !== '').join('\n');
}

/** Shapes as they are where there is room for them; letters for long names where a table or a line has none. */
function dimsOf(report: InspectReport, style: TextStyle): ShortDims {
  if (style.width === null) return FULL_DIMS;
  const tables = [report.feature_info, ...report.groups.map(({ features }) => features)];
  const values = [...report.inputs, ...report.outputs];
  const modules = report.modules ?? [];
  const { width } = style;
  const isRoom =
    isTreeRoomy(modules, style) &&
    tables.every((features) =>
      isRoomy(featureColumns(features), featureRows(features, null, style, FULL_DIMS), style),
    ) &&
    values.every((value) => displayWidth(`  output  ${value.name}  ${typeText(value, FULL_DIMS)}`) <= width);
  const shapes = [...tables.flat(), ...values, ...modules.flatMap(({ outputs }) => outputs)].map(({ shape }) => shape);
  return isRoom ? FULL_DIMS : shortDims(shapes);
}

/** Entries of metadata_props in the text, and characters of each; JSON has all of them. */
const MOST_ENTRIES = 8;
const LONGEST_ENTRY = 48;

function modelText(
  { model, inputs, outputs, nominal_input_shape }: InspectReport,
  style: TextStyle,
  dims: ShortDims,
): string {
  const name = escapeText(model.path ?? 'model in memory');
  const facts = wrapped([name, ...modelFacts(model)], { width: style.width, after: [COLUMN_GAP], between: ', ' });
  const lines = [`${paint(style, 'bold', name)}${facts.slice(name.length)}`];
  const values = [
    ...inputs.map((value) => ['input', value] as const),
    ...outputs.map((value) => ['output', value] as const),
  ];
  const width = values.reduce((most, [, { name }]) => Math.max(most, displayWidth(escapeText(name))), 0);
  for (const [role, value] of values)
    lines.push(`  ${padEnd(role, 6)}  ${padEnd(escapeText(value.name), width)}  ${typeText(value, dims)}`);
  const metadata = Object.entries(model.metadata);
  for (const [key, value] of metadata.slice(0, MOST_ENTRIES)) {
    const text = value ?? '(too long)';
    lines.push(paint(style, 'dim', `  metadata  ${escapeText(key)} = ${shorten(escapeText(text), LONGEST_ENTRY)}`));
  }
  if (metadata.length > MOST_ENTRIES)
    lines.push(paint(style, 'dim', `  metadata  and ${metadata.length - MOST_ENTRIES} more`));
  const nominal = Object.entries(nominal_input_shape).map(
    ([input, shape]) => `${escapeText(input)} = ${shapeText(shape)}`,
  );
  if (nominal.length > 0) {
    const words = ['  channels and strides were found with', ...nominal];
    lines.push(paint(style, 'dim', wrapped(words, { width: style.width, after: [' '], between: ', ' })));
  }
  return `${lines.join('\n')}\n`;
}

function modelFacts(model: ModelRecord): readonly string[] {
  const facts = [
    bytesText(model.size_bytes),
    `${plural(model.nodes, 'node')}${model.inner_nodes === undefined ? '' : ` and ${countText(model.inner_nodes)} in bodies and functions`}`,
    `${plural(model.initializers, 'initializer')} (${bytesText(model.weights_bytes)})`,
  ];
  const opsets = Object.entries(model.opset_imports).map(
    ([domain, version]) => `${domain === '' ? 'opset' : escapeText(domain)} ${version}`,
  );
  if (model.external_data.length > 0) facts.push(`weights in ${model.external_data.map(escapeText).join(', ')}`);
  if (model.functions > 0) facts.push(plural(model.functions, 'function'));
  facts.push(`IR ${model.ir_version}`);
  for (const opset of opsets) facts.push(opset);
  if (model.producer !== '') facts.push(escapeText(model.producer));
  return facts;
}

function typeText(value: TensorRecord, dims: ShortDims): string {
  return value.type === undefined || value.shape !== null
    ? `${kindText(value)} ${dims.shapeText(value.shape)}`
    : kindText(value);
}

const FEATURE_COLUMNS: readonly Column[] = [
  { title: 'index', align: 'right' },
  { title: 'module', least: 8, isFirm: true },
  { title: 'channels', align: 'right' },
  { title: 'stride', align: 'right' },
  { title: '', align: 'center', expendable: 4, dim: true },
  { title: 'shape', least: 12, isFirm: true },
  { title: 'layout', expendable: 3 },
  { title: 'dtype', expendable: 2 },
  { title: 'tensor', least: 20, expendable: 1 },
];
const DTYPE = FEATURE_COLUMNS.findIndex(({ title }) => title === 'dtype');

/** The columns of a table of features: with their dtypes if one is another than float32. */
function featureColumns(features: readonly FeatureRecord[]): readonly Column[] {
  const isUsual = features.every(({ dtype }) => dtype === 'float32' || dtype === null);
  return FEATURE_COLUMNS.filter((_column, at) => at !== DTYPE || !isUsual);
}

function featuresText(report: InspectReport, style: TextStyle, dims: ShortDims): string {
  const { feature_info: features, out_indices } = report;
  const lines: string[] = [];
  const left = new Set<string>();
  const tables: Tables = { style, dims, left };
  if (features.length === 0)
    lines.push(
      report.groups.length > 0
        ? 'no features of its own, but groups\n'
        : `no features found; ${flagOf('listTensors')} lists what can be cut by name\n`,
    );
  else {
    const some = out_indices.length < features.length;
    lines.push(featureTable(features, some ? new Set(out_indices) : null, tables));
  }
  lines.push(confidenceText(features, undefined, style), ...report.groups.map((group) => groupText(group, tables)));
  const notes = [
    ...(isMarked(report) ? [MARKED] : []),
    ...(dims.legend === '' ? [] : [legendText(dims, style)]),
    ...(left.size === 0 ? [] : [leftOutText(left)]),
  ];
  return (
    lines.join('') + notes.map((note) => `${paint(style, 'dim', note)}\n`).join('') + embeddingsText(report, tables)
  );
}

/** How the tables of a report are drawn, and the titles of the columns that none of them has room for. */
interface Tables {
  readonly style: TextStyle;
  readonly dims: ShortDims;
  readonly left: Set<string>;
}

function featureTable(
  features: readonly FeatureRecord[],
  selected: ReadonlySet<number> | null,
  { style, dims, left }: Tables,
): string {
  return renderTable(featureColumns(features), featureRows(features, selected, style, dims), style, left);
}

const MARKED = '* marks what was asked for, or else what extract and run take by default: of a cut, its outputs';

/** Whether an asterisk stands in a table. */
function isMarked({ feature_info: features, out_indices, groups }: InspectReport): boolean {
  const isSome = out_indices.length > 0 && out_indices.length < features.length;
  return isSome || groups.some((group) => group.out_indices.length > 0);
}

/** A line for each level below high: whose it is. */
function confidenceText(features: readonly FeatureRecord[], group: string | undefined, style: TextStyle): string {
  return (['medium', 'low'] as const)
    .map((level) => {
      const indices = features.filter(({ confidence }) => confidence === level).map(({ index }) => index);
      if (indices.length === 0) return '';
      const label = indexText({ index: indices[0], group });
      const inGroup = group === undefined ? '' : `${escapeText(group)}:`;
      const line = `${level} confidence: ${inGroup}${rangesText(indices)} (${flagOf('explain')} ${label} says why)`;
      return `${paint(style, 'dim', line)}\n`;
    })
    .join('');
}

/** `0-3, 5`. */
function rangesText(indices: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const index of indices) {
    const open = ranges.at(-1);
    if (open !== undefined && index === open[1] + 1) open[1] = index;
    else ranges.push([index, index]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(', ');
}

/** A group under its own heading; maps of attention are many and alike, and take one line. */
function groupText({ name, features, out_indices }: GroupRecord, tables: Tables): string {
  const { style, dims } = tables;
  const flag = paint(style, 'dim', `${flagOf('out')} ${escapeText(groupRange(name, features))}`);
  const confidence = confidenceText(features, name, style);
  if (name === 'attention') {
    const marked = out_indices.length === 0 ? '' : `  * ${out_indices.join(', ')}`;
    const words = [`attention  ${plural(features.length, 'map')} ${shapesText(features, dims)}`, `${flag}${marked}`];
    return `${wrapped(words, { width: style.width, between: COLUMN_GAP })}\n${confidence}`;
  }
  const table = featureTable(features, new Set(out_indices), tables);
  return `\n${paint(style, 'bold', escapeText(name))}  ${flag}\n${table}${confidence}`;
}

/** The shape of all maps; of maps that differ, the first and the last. */
function shapesText(features: readonly FeatureRecord[], dims: ShortDims): string {
  const shapes = [...new Set(features.map(({ shape }) => dims.shapeText(shape)))];
  if (shapes.length <= 1) return shapes[0] ?? '?';
  return `of ${shapes.length} shapes, ${shapes[0]} ${shapes.length === 2 ? 'and' : 'to'} ${shapes[shapes.length - 1]}`;
}

/** A line each: the one that `--embedding` takes, then those that a role takes. */
function embeddingsText({ embedding, embeddings }: InspectReport, { style, dims }: Tables): string {
  const first = embedding === null ? 'embedding?  ' : 'embedding  ';
  const tensors = [...new Set(embeddings.map(({ tensor }) => tensor))];
  return tensors
    .map((tensor, at) => {
      const same = embeddings.filter((candidate) => candidate.tensor === tensor);
      const roles = same.map(({ role }) => role).join(', ');
      const facts = `  ${kindText(same[0])} ${dims.shapeText(same[0].shape)}  ${roles}`;
      return `${fitted(at === 0 ? first : padEnd('', first.length), escapeText(tensor), facts, style)}\n`;
    })
    .join('');
}

function featureRows(
  features: readonly FeatureRecord[],
  selected: ReadonlySet<number> | null,
  style: TextStyle,
  dims: ShortDims,
): readonly (readonly string[])[] {
  const hasDtype = featureColumns(features).length === FEATURE_COLUMNS.length;
  const bars = pyramidBars(
    features.map(({ reduction }) => reduction),
    style,
  );
  return features.map(({ index, module, num_chs, reduction, shape, layout, dtype, tensor, hook_type }, at) => [
    selected?.has(index) ? `* ${index}` : String(index),
    module === null ? '-' : `${escapeText(module)}${hook_type === 'forward_pre' ? ' (input)' : ''}`,
    num_chs === null ? '?' : String(num_chs),
    strideText(reduction, shape),
    bars[at],
    tensor === null ? '-' : dims.shapeText(shape),
    layout ?? '-',
    ...(hasDtype ? [dtype === null ? '?' : escapeText(dtype)] : []),
    tensor === null ? 'not in the graph' : escapeText(tensor),
  ]);
}

/** A name between two texts that must stay whole, in one line of the terminal where that is possible. */
function fitted(before: string, name: string, after: string, { width, unicode }: TextStyle): string {
  const room = width === null ? Infinity : Math.max(SHORTEST_NAME, width - displayWidth(before) - displayWidth(after));
  return before + shorten(name, room, unicode ? '…' : '...') + after;
}

const SHORTEST_NAME = 12;

const SELECTED_COLUMNS: readonly Column[] = FEATURE_COLUMNS.filter(({ title }, at) => title !== '' && at !== DTYPE).map(
  (column) => (column.title === 'index' ? { title: 'selected', align: 'right' } : column),
);

function selectedText(selected: readonly SelectedRecord[], style: TextStyle): string {
  const rows = selected.map(({ module, num_chs, reduction, shape, layout, tensors }, at) => [
    String(at),
    module === null ? '-' : escapeText(module),
    num_chs === null ? '?' : String(num_chs),
    strideText(reduction, shape),
    shapeText(shape),
    layout ?? '-',
    tensors.map(escapeText).join(' + '),
  ]);
  return renderTable(SELECTED_COLUMNS, rows, style);
}

function explanationText({ index, group, tried }: ExplanationRecord, style: TextStyle): string {
  const lines = [paint(style, 'bold', `why feature ${indexText({ index, group })}`)];
  const width = Math.max(...tried.map(({ resolver }) => resolver.length));
  const under = `  ${padEnd('', width)}  `;
  const say = (first: string, text: string): void => void lines.push(filled(first + text, style.width, under));
  for (const { resolver, outcome, feature } of tried) {
    say(`  ${padEnd(resolver, width)}  `, escapeText(outcome));
    if (feature === null) continue;
    const what = [feature.module, feature.tensor].map((name) => (name === null ? '-' : escapeText(name))).join('  ');
    say(
      under,
      `${what}  ${feature.num_chs ?? '?'} channels, stride ${feature.reduction ?? '?'}, confidence ${feature.confidence}`,
    );
    say(under, escapeText(feature.because));
  }
  return `${lines.join('\n')}\n`;
}

const TENSOR_COLUMNS: readonly Column[] = [
  { title: 'tensor', least: 20 },
  { title: 'dtype' },
  { title: 'shape' },
  { title: 'op', least: 6 },
  { title: 'module', least: 8, expendable: 1 },
  { title: 'node', least: 8, expendable: 2 },
];

function tensorsText(tensors: readonly NodeTensorRecord[], style: TextStyle): string {
  const rows = tensors.map((tensor) => [
    escapeText(tensor.name),
    kindText(tensor),
    shapeText(tensor.shape),
    escapeText(tensor.op_type),
    tensor.module === null ? '-' : escapeText(tensor.module),
    escapeText(tensor.node),
  ]);
  return renderTable(TENSOR_COLUMNS, rows, style);
}
