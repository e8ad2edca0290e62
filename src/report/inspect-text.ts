import { groupRange } from '../features/suggestion.js';
import { flagOf } from '../options/table.js';
import { escapeText } from './escape.js';
import { modulesText } from './modules-text.js';
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
import { indexText, kindText, shapeText } from './shapes.js';
import { paint, type TextStyle } from './style.js';
import { renderTable, type Column } from './table.js';
import { bytesText, plural } from './units.js';
import { displayWidth, padEnd, shorten } from './width.js';

/** The report as a person reads it: the model in a few lines, then the table of its features. */
export function inspectText(report: InspectReport, style: TextStyle): string {
  const parts = [modelText(report, style), featuresText(report, style)];
  if (report.selected !== undefined) parts.push(selectedText(report.selected, style));
  if (report.explain !== undefined) parts.push(explanationText(report.explain, style));
  if (report.modules !== undefined) parts.push(modulesText(report.modules, style));
  if (report.tensors !== undefined) parts.push(tensorsText(report.tensors, style));
  return parts.filter((part) => part !== '').join('\n');
}

function modelText({ model, inputs, outputs, nominal_input_shape }: InspectReport, style: TextStyle): string {
  const lines = [
    `${paint(style, 'bold', escapeText(model.path ?? 'model in memory'))}  ${modelFacts(model).join(', ')}`,
  ];
  const values = [
    ...inputs.map((value) => ['input', value] as const),
    ...outputs.map((value) => ['output', value] as const),
  ];
  const width = values.reduce((most, [, { name }]) => Math.max(most, displayWidth(escapeText(name))), 0);
  for (const [role, value] of values)
    lines.push(`  ${padEnd(role, 6)}  ${padEnd(escapeText(value.name), width)}  ${typeText(value)}`);
  for (const [name, shape] of Object.entries(nominal_input_shape)) {
    lines.push(paint(style, 'dim', `  channels and strides were found with ${escapeText(name)} = ${shapeText(shape)}`));
  }
  return `${lines.join('\n')}\n`;
}

function modelFacts(model: ModelRecord): readonly string[] {
  const facts = [
    bytesText(model.size_bytes),
    plural(model.nodes, 'node'),
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

function typeText(value: TensorRecord): string {
  return value.type === undefined || value.shape !== null
    ? `${kindText(value)} ${shapeText(value.shape)}`
    : kindText(value);
}

const FEATURE_COLUMNS: readonly Column[] = [
  { title: 'index', align: 'right' },
  { title: 'module', least: 8 },
  { title: 'channels', align: 'right' },
  { title: 'stride', align: 'right' },
  { title: '', align: 'center', expendable: 3, dim: true },
  { title: 'shape', expendable: 1 },
  { title: 'layout', expendable: 2 },
  { title: 'tensor', least: 20 },
];

function featuresText(report: InspectReport, style: TextStyle): string {
  const { feature_info: features, out_indices } = report;
  const lines: string[] = [];
  if (features.length === 0)
    lines.push(
      report.groups.length > 0
        ? 'no features of its own; select from the groups below\n'
        : `no features found; cut tensors by name with ${flagOf('tensor')} (inspect ${flagOf('listTensors')} lists them)\n`,
    );
  else {
    const some = out_indices.length < features.length;
    lines.push(renderTable(FEATURE_COLUMNS, featureRows(features, some ? new Set(out_indices) : null, style), style));
  }
  lines.push(confidenceText(features, undefined, style), ...report.groups.map((group) => groupText(group, style)));
  if (isMarked(report)) lines.push(paint(style, 'dim', MARKED) + '\n');
  return lines.join('') + embeddingsText(report, style);
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
      const labels = features
        .filter(({ confidence }) => confidence === level)
        .map(({ index }) => indexText({ index, group }));
      if (labels.length === 0) return '';
      const line = `${level} confidence: ${labels.join(', ')} (${flagOf('explain')} ${labels[0]} says why)`;
      return `${paint(style, 'dim', line)}\n`;
    })
    .join('');
}

/** A group under its own heading; maps of attention are many and alike, and take one line. */
function groupText({ name, features, out_indices }: GroupRecord, style: TextStyle): string {
  const flag = paint(style, 'dim', `${flagOf('out')} ${escapeText(groupRange(name, features))}`);
  const confidence = confidenceText(features, name, style);
  if (name === 'attention') {
    const marked = out_indices.length === 0 ? '' : `  * ${out_indices.join(', ')}`;
    return `attention  ${plural(features.length, 'map')} ${shapesText(features)}  ${flag}${marked}\n${confidence}`;
  }
  const rows = featureRows(features, new Set(out_indices), style);
  return `\n${paint(style, 'bold', escapeText(name))}  ${flag}\n${renderTable(FEATURE_COLUMNS, rows, style)}${confidence}`;
}

/** The shape of all maps; of maps that differ, the first and the last. */
function shapesText(features: readonly FeatureRecord[]): string {
  const shapes = [...new Set(features.map(({ shape }) => shapeText(shape)))];
  if (shapes.length <= 1) return shapes[0] ?? '?';
  return `of ${shapes.length} shapes, ${shapes[0]} ${shapes.length === 2 ? 'and' : 'to'} ${shapes[shapes.length - 1]}`;
}

/** A line each: the one that `--embedding` takes, then those that a role takes. */
function embeddingsText({ embedding, embeddings }: InspectReport, style: TextStyle): string {
  const first = embedding === null ? 'embedding?  ' : 'embedding  ';
  const tensors = [...new Set(embeddings.map(({ tensor }) => tensor))];
  return tensors
    .map((tensor, at) => {
      const same = embeddings.filter((candidate) => candidate.tensor === tensor);
      const roles = same.map(({ role }) => role).join(', ');
      const facts = `  ${kindText(same[0])} ${shapeText(same[0].shape)}  ${roles}`;
      return `${fitted(at === 0 ? first : padEnd('', first.length), escapeText(tensor), facts, style)}\n`;
    })
    .join('');
}

function featureRows(
  features: readonly FeatureRecord[],
  selected: ReadonlySet<number> | null,
  style: TextStyle,
): readonly (readonly string[])[] {
  const bars = pyramidBars(
    features.map(({ reduction }) => reduction),
    style,
  );
  return features.map(({ index, module, num_chs, reduction, shape, layout, tensor, hook_type }, at) => [
    selected?.has(index) ? `* ${index}` : String(index),
    module === null ? '-' : `${escapeText(module)}${hook_type === 'forward_pre' ? ' (input)' : ''}`,
    num_chs === null ? '?' : String(num_chs),
    reduction === null ? '?' : String(reduction),
    bars[at],
    tensor === null ? '-' : shapeText(shape),
    layout ?? '-',
    tensor === null ? 'not in the graph' : escapeText(tensor),
  ]);
}

/** A name between two texts that must stay whole, in one line of the terminal where that is possible. */
function fitted(before: string, name: string, after: string, { width, unicode }: TextStyle): string {
  const room = width === null ? Infinity : Math.max(SHORTEST_NAME, width - displayWidth(before) - displayWidth(after));
  return before + shorten(name, room, unicode ? '…' : '...') + after;
}

const SHORTEST_NAME = 12;

const SELECTED_COLUMNS: readonly Column[] = FEATURE_COLUMNS.filter(({ title }) => title !== '').map((column) =>
  column.title === 'index' ? { title: 'selected', align: 'right' } : column,
);

function selectedText(selected: readonly SelectedRecord[], style: TextStyle): string {
  const rows = selected.map(({ module, num_chs, reduction, shape, layout, tensors }, at) => [
    String(at),
    module === null ? '-' : escapeText(module),
    num_chs === null ? '?' : String(num_chs),
    reduction === null ? '?' : String(reduction),
    shapeText(shape),
    layout ?? '-',
    tensors.map(escapeText).join(' + '),
  ]);
  return renderTable(SELECTED_COLUMNS, rows, style);
}

function explanationText({ index, group, tried }: ExplanationRecord, style: TextStyle): string {
  const lines = [paint(style, 'bold', `why feature ${indexText({ index, group })}`)];
  const width = Math.max(...tried.map(({ resolver }) => resolver.length));
  for (const { resolver, outcome, feature } of tried) {
    lines.push(`  ${padEnd(resolver, width)}  ${escapeText(outcome)}`);
    if (feature === null) continue;
    const what = [feature.module, feature.tensor].map((name) => (name === null ? '-' : escapeText(name))).join('  ');
    lines.push(
      `  ${padEnd('', width)}  ${what}  ${feature.num_chs ?? '?'} channels, stride ${feature.reduction ?? '?'}, confidence ${feature.confidence}`,
    );
    lines.push(`  ${padEnd('', width)}  ${escapeText(feature.because)}`);
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
