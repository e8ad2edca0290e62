import { join } from 'node:path';
import { EntryRuns, planOf, type EntryRun } from './entry-runs.js';
import { attentionMap, channelNumbers, featureMap, type AttentionMap } from './measures/maps.js';
import { selectorsOf } from './features/selectors.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { inputName, localPath } from './open.js';
import { called } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import type { Preprocessing } from './preprocessing/recipe.js';
import { figuresOf, type Figures } from './pages/figures.js';
import { encodePng } from './pages/png.js';
import { reportPage, type PageEntry } from './pages/report-page.js';
import { pageNameWarnings } from './pages/shell.js';
import { inputVerdict } from './report/input-check.js';
import type { InputCheckRecord, PageFeatureRecord, PageReport } from './report/page-records.js';
import { preprocessingRecord } from './report/preprocessing-record.js';
import { assertNoWarnings } from './report/strict.js';
import type { PlannedOutput } from './rewrite/plan.js';
import { fileNameOf } from './remote/open-remote.js';
import type { RunnerOptions } from './runner.js';
import { toFloat32 } from './tensors/convert.js';
import { safeFileNames } from './tensors/file-names.js';
import { photoOf } from './tensors/photo.js';
import { cutWarnings } from './tensors/text-inputs.js';
import { VERSION } from './version.js';
import { BufferSource } from './wire/source.js';
import { writeFile } from './wire/sink.js';
import { resolveTarget } from './wire/target.js';

/** What `report` takes: the options of the table, and what only a program can give. */
export type ReportOptions = OptionsOf<'report'> & Pick<RunnerOptions, 'fileSystem' | 'resolve'>;

/** A page that is longer leaves out single channels. */
const LARGEST_PAGE = 5_000_000;

/**
 * Runs features over a few entries and shows them on one page that needs no network: what is like a place that is
 * clicked, principal components, norms, histograms, channels; and the numbers that warn of a wrong input.
 * @returns what was written, and the numbers of the page
 * @throws what `run` throws; the output is then as it was before
 */
export async function report(source: string | Uint8Array, options: ReportOptions = {}): Promise<PageReport> {
  return called('report', options, () => makeReport(source, options));
}

async function makeReport(source: string | Uint8Array, options: ReportOptions): Promise<PageReport> {
  const started = performance.now();
  const { png, remote } = options;
  const path = localPath(source);
  const name = options.name ?? inputName(source, remote);
  const stem = typeof source === 'string' ? fileNameOf(source, remote).replace(/\.onnx$/i, '') : 'model';
  const reads = [...(path === null ? [] : [path]), ...(options.reads ?? [])];
  const target = await resolveTarget(options.output ?? `${stem}.report.html`, reads, { ...options, inPlace: false });
  await using runs = await openRuns(source, options);
  const { runner, plan } = runs;
  await resolveTarget(target, [...plan.files, ...runner.files], { ...options, inPlace: false });
  const entries: PageEntry[] = [];
  const attentions: Attentions = new Map();
  for await (const entry of runs.entries()) entries.push(await pageEntry(entry, runs, attentions));
  const features = runner.features.map((feature, at) => ({
    ...featureRecord(feature, at, entries, runs),
    ...(attentions.has(feature.output) ? { attention: attentions.get(feature.output) } : {}),
  }));
  const check = options.inputCheck ? await inputCheck(runs, options) : null;
  const cut = plan.text === null ? [] : cutWarnings(plan.text.tokenizer);
  const warnings = [
    ...new Set([...runner.warnings, ...plan.warnings, ...cut, ...checkWarnings(check), ...pageNameWarnings(target)]),
  ];
  if (options.strict) assertNoWarnings(warnings, name ?? undefined);
  const record: Omit<PageReport, 'size_bytes' | 'pictures' | 'elapsed_ms'> = {
    schema: 1,
    command: 'report',
    featx: VERSION,
    model: name,
    output: target,
    provider: runner.session.provider,
    inputs: plan.files,
    entries: entries.length,
    preprocessing: [...plan.preprocessing].map((one) => preprocessingRecord(...one)),
    features,
    input_check: check,
    warnings,
  };
  const worded = warnings.map((text) => options.inWords?.(text) ?? text);
  const page = pageOf({ ...record, warnings: worded, size_bytes: 0, pictures: [], elapsed_ms: 0 }, entries);
  await writeFile(NOTHING, [page.bytes], target, options);
  const pictures = png === undefined ? [] : await writePictures(png, entries, features, options);
  return {
    ...record,
    size_bytes: page.bytes.length,
    pictures,
    warnings: page.isShort
      ? [...warnings, `single channels are left out: the page would be longer than ${LARGEST_PAGE} bytes`]
      : warnings,
    elapsed_ms: Math.round(performance.now() - started),
  };
}

/** The features that are asked for; by default the FeatureInfo, and the last attention that takes no other inputs. */
async function openRuns(source: string | Uint8Array, options: ReportOptions): Promise<EntryRuns> {
  const runs = await EntryRuns.open(source, options);
  const { features, resolution } = runs.runner;
  if (selectorsOf(options).length > 0) return runs;
  const maps = resolution.groups.find(({ name }) => name === ATTENTION)?.features ?? [];
  const last = maps.findLast(({ tensor }) => tensor !== null && runs.runner.takesEnoughFor(tensor));
  if (last === undefined) return runs;
  const indices = features.flatMap(({ tap }) => tap.index ?? []);
  await runs[Symbol.asyncDispose]();
  const attention = { by: 'index', group: ATTENTION, indices: [last.index] } as const;
  return EntryRuns.open(source, { ...options, select: [{ by: 'index', indices }, attention] });
}

const ATTENTION = 'attention';
/** Whose attention is shown, by output. */
type Attentions = Map<string, AttentionMap['attention']>;

/** A feature of one entry as a map; attention by what is looked at. */
function mapOf(
  { tap, ...output }: PlannedOutput,
  value: TensorValue,
): Pick<AttentionMap, 'map'> & Partial<Pick<AttentionMap, 'attention'>> {
  const values = toFloat32(value);
  const attention = tap.group === ATTENTION ? attentionMap(values, value.shape) : null;
  return attention ?? { map: featureMap(values, value.shape, output) };
}

const NOTHING = new BufferSource(new Uint8Array(0));

function pageOf(
  report: PageReport,
  entries: readonly PageEntry[],
): { readonly bytes: Uint8Array; readonly isShort: boolean } {
  const encode = (withChannels: boolean): Uint8Array =>
    new TextEncoder().encode(reportPage(report, entries, withChannels));
  const whole = encode(true);
  return whole.length <= LARGEST_PAGE ? { bytes: whole, isShort: false } : { bytes: encode(false), isShort: true };
}

async function pageEntry(
  { name, feeds, values }: EntryRun,
  { runner, plan }: EntryRuns,
  attentions: Attentions,
): Promise<PageEntry> {
  const [input, how] = [...plan.preprocessing][0] ?? [];
  const seen = input === undefined ? undefined : feeds.get(input);
  const figures: Figures[] = [];
  for (const feature of runner.features) {
    const value = values.get(feature.output);
    if (value === undefined) continue;
    const { map, attention } = mapOf(feature, value);
    if (attention !== undefined) attentions.set(feature.output, attention);
    figures.push(figuresOf(map));
  }
  return {
    name,
    photo: seen === undefined || how === undefined ? null : await photoOf(seen, how),
    figures,
  };
}

function featureRecord(
  { tap, output }: PlannedOutput,
  at: number,
  entries: readonly PageEntry[],
  { runner }: EntryRuns,
): PageFeatureRecord {
  const figures = entries.map((entry) => entry.figures[at]);
  const [{ map, components }] = figures;
  const { index, group, module, tensors } = tap;
  const known =
    group == null && index !== null ? runner.resolution.features.find((each) => each.index === index) : null;
  const zeros = figures.reduce((sum, { histogram: { zeros: count } }) => sum + count, 0);
  const values = figures.reduce((sum, { map: { cells } }) => sum + cells.values.length, 0);
  return {
    index,
    ...(group == null ? {} : { group }),
    module,
    tensor: tensors[0],
    output,
    channels: map.cells.columns,
    height: map.height,
    width: map.width,
    reduction: known?.reduction ?? null,
    silent_channels: silentIn(figures),
    zeros_share: values === 0 ? 0 : zeros / values,
    min: Math.min(...figures.map(({ histogram: { least } }) => least)),
    max: Math.max(...figures.map(({ histogram: { most } }) => most)),
    explained: components?.explained ?? [],
  };
}

/** Channels with one value in every cell of every entry; null for a single vector, of which all are. */
function silentIn(figures: readonly Pick<Figures, 'map' | 'channels'>[]): number | null {
  if (figures.reduce((cells, { map }) => cells + map.cells.rows, 0) < 2) return null;
  const [first, ...others] = figures;
  return first.channels.filter(
    ({ isSilent, mean }, channel) =>
      isSilent && others.every(({ channels }) => channels[channel]?.isSilent && channels[channel]?.mean === mean),
  ).length;
}

/** Normalisations that networks are trained with, for values from 0 to 1. */
const NORMALISATIONS: readonly {
  readonly name: string;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}[] = [
  { name: 'ImageNet', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  { name: '0 to 1', mean: [0], std: [1] },
  { name: '-1 to 1', mean: [0.5], std: [0.5] },
  { name: '0 to 255', mean: [0], std: [1 / 255] },
];

async function inputCheck(runs: EntryRuns, options: ReportOptions): Promise<readonly InputCheckRecord[]> {
  const last = runs.runner.features.findLast(({ tap }) => tap.group !== ATTENTION);
  const used = [...runs.plan.preprocessing.values()][0];
  if (last === undefined || used === undefined) return [];
  const records: InputCheckRecord[] = [];
  for (const { name, mean, std } of NORMALISATIONS) {
    const plan = await planOf(runs.runner, { ...options, image: { ...options.image, scale: 1 / 255, mean, std } });
    const channels: Pick<Figures, 'map' | 'channels'>[] = [];
    for await (const { values } of runs.entries(plan)) {
      const value = values.get(last.output);
      if (value === undefined) continue;
      const { map } = mapOf(last, value);
      channels.push({ map, channels: channelNumbers(map) });
    }
    const now = [...plan.preprocessing.values()][0];
    records.push({
      name,
      mean,
      std,
      silent_channels: silentIn(channels),
      is_used: now !== undefined && endsOf(now) === endsOf(used),
    });
  }
  return records;
}

/** What black and white become in each channel: the same for all spellings of one normalisation. */
function endsOf({ scale, mean, std }: Preprocessing): string {
  const ends = [0, 1, 2].flatMap((channel) =>
    [0, 255].map((value) => ((value * scale - (mean?.[channel] ?? 0)) / (std?.[channel] ?? 1)).toPrecision(4)),
  );
  return ends.join();
}

function checkWarnings(check: readonly InputCheckRecord[] | null): readonly string[] {
  const warning = check === null ? null : inputVerdict(check).warning;
  return warning === null ? [] : [warning];
}

async function writePictures(
  folder: string,
  entries: readonly PageEntry[],
  features: readonly PageFeatureRecord[],
  options: ReportOptions,
): Promise<readonly string[]> {
  const drawn = entries.flatMap(({ name, figures }, entry) =>
    figures.flatMap(({ components, norms, strongest }, at) => {
      const stem = `${entries.length === 1 ? '' : `${entry}.`}${name}.${features[at].output}`;
      return [
        ...(components === null ? [] : [[`${stem}.pca`, components.picture] as const]),
        ...(norms === null ? [] : [[`${stem}.norm`, norms.picture] as const]),
        ...strongest.map(({ channel, picture }) => [`${stem}.channel-${channel}`, picture] as const),
      ];
    }),
  );
  const names = safeFileNames(drawn.map(([name]) => name));
  const written: string[] = [];
  for (const [at, [, picture]] of drawn.entries()) {
    const target = await resolveTarget(join(folder, `${names[at]}.png`), [], { ...options, inPlace: false });
    await writeFile(NOTHING, [encodePng(picture)], target, options);
    written.push(target);
  }
  return written;
}
