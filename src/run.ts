import type { TensorValue } from './onnx/tensor-value.js';
import { option } from './options/words.js';
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { DeviceRuns } from './device-runs.js';
import { tf32Of } from './runtime/cuda.js';
import { joiningsOf } from './entry-axes.js';
import { settledBatch } from './entry-mixing.js';
import { type FeatxError, RuntimeError, UsageError } from './errors.js';
import { called } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import { inputName, localPath } from './open.js';
import { BufferPool } from './processes/buffers.js';
import { FeatureRunner, type RunnerOptions } from './runner.js';
import { soundRecords } from './report/sound-record.js';
import { preprocessingRecord } from './report/preprocessing-record.js';
import type { PreprocessingRecord, RunReport } from './report/run-records.js';
import { assertNoWarnings } from './report/strict.js';
import { Results } from './run-results.js';
import { batches, batchSizeOf, entriesOfPlan, firstBatch, type InputBatch } from './tensors/batches.js';
import { assertAnyLeft, type SkipBad } from './tensors/input-files.js';
import type { Entries } from './shapes/entries.js';
import { planInputs, type InputPlan } from './tensors/input-plan.js';
import { openWriter } from './tensors/open-writer.js';
import { pooledTexts } from './run-pooling.js';
import { assertProfile, keepProfile } from './run-profile.js';
import { readOneArray } from './tensors/array-file.js';
import { projectionFiles, readProjection } from './tensors/projection.js';
import type { Mixing } from './rewrite/mixing.js';
import { stepsOf } from './rewrite/steps.js';
import { TokenEntries } from './token-entries.js';
import { cutWarnings, textInputs, type TextInputs } from './tensors/text-inputs.js';
import { takesTokens } from './tensors/text-items.js';
import type { Provenance } from './tensors/provenance.js';
import { VERSION } from './version.js';
import { RemoteSource } from './remote/remote-source.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';
import type { ByteSource } from './wire/source.js';
import { hashFile } from './wire/hash.js';

/** What `run` takes: the options of the table, and what only a program can give. */
export type RunOptions = OptionsOf<'run'> &
  Pick<RunnerOptions, 'fileSystem' | 'resolve'> & {
    readonly onProgress?: (doneRows: number, totalRows: number) => void;
    /** Takes the bytes instead of a file: for standard output. */
    readonly write?: (bytes: Uint8Array) => Promise<void>;
    /** The bytes of the input `-`. */
    readonly standardInput?: Uint8Array;
  };

/**
 * Runs a model's features over files and writes them; reading and decoding, running, and writing overlap.
 * @returns what was written, and where it ran
 * @throws UsageError, ResolveError, ModelFormatError, PolicyError, IoError, RuntimeError, TimeoutError; the output is
 * then as it was before
 */
export async function run(source: string | Uint8Array, options: RunOptions = {}): Promise<RunReport> {
  return called('run', options, () => runBatches(source, options));
}

/** What helps if some of several files cannot be read. */
const LEAVE_OUT = `leave out what cannot be read with ${option('skipBad', true)}`;

async function runBatches(source: string | Uint8Array, options: RunOptions): Promise<RunReport> {
  const started = performance.now();
  const { inputs = [], output, signal, fileSystem } = options;
  const sourcePath = localPath(source);
  await assertProfile(options, sourcePath === null ? [] : [sourcePath]);
  const { texts = [] } = options;
  const pooled = texts.length === 0 ? null : await pooledTexts(source, options);
  const projection = await readProjection(options.project, (path) => readOneArray(path, { fileSystem }));
  const open = (): Promise<FeatureRunner> =>
    FeatureRunner.open(source, {
      ...options,
      ...pooled?.selection,
      // What is asked for by a module's name is found under it.
      nameBy: options.nameBy ?? 'module',
      profilePrefix: options.profile,
      plan: {
        mode: 'dict',
        outMap: options.outMap ?? pooled?.outMap ?? null,
        outputFmt: options.outputFmt ?? null,
        order: options.order ?? 'out',
        steps: stepsOf({ ...options, ...pooled?.steps, projection }),
      },
    });
  await using runner = await open();
  // Weights and what is computed from them alone need no input.
  if (inputs.length === 0 && texts.length === 0 && runner.session.inputs.length > 0)
    throw new UsageError('no input is given', {
      code: 'FEATX_USAGE_INPUT',
      hint: `name files with ${option('inputs')}, or try ${option('inputs', ['random'])}`,
    });
  const skipped = new Map<string, FeatxError>();
  const skip: SkipBad | undefined = options.skipBad ? (file, error) => void skipped.set(file, error) : undefined;
  const elsewhere = (): ReturnType<typeof runner.elsewhere> => runner.elsewhere();
  const asked = { ...options, texts, elsewhere };
  const text = texts.length === 0 ? null : await textInputs(sourcePath, runner.session.inputs, asked);
  const plan = await planInputs(inputs, runner.session.inputs, {
    fileSystem,
    image: options.image,
    remote: options.remote,
    signal,
    recipe: (input) => runner.recipeFor(input, options.image?.preprocess, fileSystem),
    sound: () => runner.soundFor(options.sampleRate, fileSystem),
    shapes: runner.inputShapes,
    given: runner.givenInputs,
    limits: options.tensorLimits,
    skip,
    advice: LEAVE_OUT,
    standardInput: options.standardInput,
    made: text?.items,
    elsewhere,
  });
  const readFiles = [...plan.files, ...(text?.files ?? [])];
  const inputFiles = [...readFiles, ...projectionFiles(options.project), ...runner.files, ...(options.reads ?? [])];
  await assertProfile(options, inputFiles);
  const { entries, batchSize: largest, batched } = await entriesOf(runner, plan, options);
  const question = {
    rows: plan.rows,
    batchSize: largest,
    isFixed: plan.fixedBatch !== null,
    batched,
    first: () => firstBatch(plan, { batchSize: largest, skip, advice: LEAVE_OUT }),
    run: (feeds: ReadonlyMap<string, TensorValue>) => runner.run(feeds),
  };
  const joinings = await joiningsOf({ ...question, entries });
  const isOpen = plan.fixedBatch === null && largest > 1;
  const mixing = isOpen ? await runner.mixingIn([...batched]) : new Map<string, Mixing>();
  const isOneArray = text === null && plan.inputs.every(({ items, isBatched }) => !isBatched || items.length === 1);
  const isGiven = options.batchSize !== undefined || (isOneArray && plan.rows <= largest);
  const settled = await settledBatch({ ...question, joinings, mixing, isGiven });
  const { batchSize } = settled;
  const tokens = text === null ? null : await TokenEntries.of(runner, joinings, text.spans);
  const results = new Results(
    runner.features,
    tokens?.joined(plan.rows) ?? joinings,
    entries,
    options.statistics !== false,
  );
  await using writer =
    output === undefined
      ? null
      : await openWriter(output, {
          ...options,
          inputs: inputFiles,
          // How many are left is known at the end.
          totalRows: skip === undefined ? plan.rows : null,
          joinings: results.joinings,
          offsets: results.offsets,
          inPlace: false,
          ragged: options.ragged === true || plan.rows === 1,
          origin: {
            provenance: await provenanceOf(source, runner, plan, options),
            entries: skip === undefined ? entriesOfPlan(plan, { start: 0, end: plan.rows }) : null,
          },
        });
  await using device = new DeviceRuns(runner, { reopen: open, batched, joinings, isFixed: plan.fixedBatch !== null });
  const clock = new Clock();
  const memory = new BufferPool();
  let written: Taken = { values: new Map(), feeds: new Map() };
  const take = async ({ batch, results: made }: Running): Promise<void> => {
    const values = await made;
    for (const part of tokens?.split(values, batch, plan.rows) ?? [{ values, batch }]) {
      const taken = results.take(part.values, part.batch);
      await writer?.write(taken, part.batch.rows, part.batch.entries);
    }
    // The writer takes a batch once it is done with the one before.
    device.recycle(written.values);
    for (const { data } of written.feeds.values()) if (ArrayBuffer.isView(data)) memory.give(data);
    written = { values, feeds: batch.feeds };
    options.onProgress?.(batch.start + batch.rows, plan.rows);
  };
  let running: Running | null = null;
  for await (const batch of batches(plan, { batchSize, signal, skip, memory, advice: LEAVE_OUT })) {
    // The next batch runs while the results of this one are summed up and written.
    const next: Running = { batch, results: clock.time(runBatch(device, batch, text !== null)) };
    if (running !== null) await take(running);
    // The profile is that of one batch.
    if (batch.index === 0) await next.results;
    running = next;
  }
  if (running === null) assertAnyLeft([...skipped.values()]);
  else await take(running);
  const noted = [device.runner, device, plan, settled].flatMap(({ warnings: own }) => own);
  const known = [...(text?.warnings ?? []), ...noted];
  if (options.strict) assertNoWarnings(known, inputName(source, options.remote) ?? undefined);
  await writer?.finish();
  const warnings = [
    ...new Set([
      ...known,
      ...(text === null ? [] : cutWarnings(text.tokenizer)),
      ...settled.notes,
      ...(writer?.warnings ?? []),
    ]),
  ];
  const path = options.name ?? inputName(source, options.remote);
  await keepProfile(device.runner.session.profile, options);
  return {
    schema: 1,
    command: 'run',
    model: path,
    output: output ?? null,
    provider: device.runner.session.provider,
    ...tf32Record(device.runner.session.provider, options),
    inputs: readFiles,
    ...tokenizerRecord(text),
    ...(pooled === null ? {} : { pooling: pooled.record }),
    skipped: [...skipped].map(([input, { code, message }]) => ({ input, code, message })),
    images: picturesOf(plan, skipped),
    ...(text === null ? {} : { texts: text.entries.length }),
    preprocessing: [...plan.preprocessing].map((one) => preprocessingRecord(...one)),
    ...(plan.sounds.length === 0 ? {} : { sound: soundRecords(plan.sounds) }),
    batch_size: batchSize,
    features: results.records({ mixed: settled.mixed, tokens }),
    run_ms: Math.round(clock.ms),
    warnings,
    elapsed_ms: Math.round(performance.now() - started),
  };
}

function tf32Record(provider: string, { tf32: asked }: RunOptions): Pick<RunReport, 'tf32'> {
  const tf32 = tf32Of(provider, asked);
  return tf32 === null ? {} : { tf32 };
}

/**
 * How entries lie in the features, and how large a batch is therefore: one entry if each has a number of rows of its
 * own.
 */
async function entriesOf(
  runner: FeatureRunner,
  plan: InputPlan,
  options: RunOptions,
): Promise<{
  readonly entries: ReadonlyMap<string, Entries>;
  readonly batchSize: number;
  readonly batched: ReadonlySet<string>;
}> {
  const batched = new Set(plan.inputs.filter(({ isBatched }) => isBatched).map(({ name }) => name));
  const entries = await runner.entriesIn({
    batched: [...batched],
    hasBatchAxis: plan.inputs.every((input) => input.hasBatchAxis),
    fixed: plan.fixedBatch,
    varied: plan.ownSizes,
  });
  const ragged = [...entries].flatMap(([name, { kind }]) => (kind === 'ragged' ? [name] : []));
  const asked = options.batchSize ?? (ragged.length > 0 && plan.fixedBatch === null ? 1 : undefined);
  const batchSize = batchSizeOf(plan, asked);
  if (ragged.length > 0 && batchSize > 1)
    throw new UsageError(
      `${ragged.join(', ')}: every entry has a number of rows of its own, and in batches of ${batchSize} nobody knows whose they are`,
      { code: 'FEATX_USAGE_BATCH', hint: `leave out ${option('batchSize')}` },
    );
  return { entries, batchSize, batched };
}

/** A batch that fails may be larger than the graph takes, whatever its inputs say. */
async function runBatch(
  device: DeviceRuns<FeatureRunner>,
  batch: InputBatch,
  isOfTexts: boolean,
): Promise<ReadonlyMap<string, TensorValue>> {
  try {
    return await device.run(batch);
  } catch (error) {
    const hint = failureHint(batch, isOfTexts);
    if (!(error instanceof RuntimeError) || error.code !== 'FEATX_RUNTIME' || hint === '' || error.hint !== undefined)
      throw error;
    throw new RuntimeError(error.message, { code: error.code, hint, cause: error });
  }
}

/** What may help if a network does not take a batch. */
function failureHint({ size, feeds }: InputBatch, isOfTexts: boolean): string {
  const tokens = isOfTexts ? [...feeds].find(([name]) => takesTokens({ name }))?.[1].shape.at(-1) : undefined;
  const fewer = `the network may take fewer than ${tokens} tokens: try a smaller ${option('maxLength')}`;
  const alone = `the network may take one entry at a time, whatever its inputs say: try ${option('batchSize', 1)}`;
  return [...(tokens === undefined ? [] : [fewer]), ...(size === 1 ? [] : [alone])].join('; or ');
}

/** What a file of features says of itself: the same for the same model, inputs and options, wherever they lie. */
async function provenanceOf(
  source: string | Uint8Array,
  { features, source: opened }: FeatureRunner,
  plan: InputPlan,
  { name, remote, fileSystem = nodeFileSystem }: RunOptions,
): Promise<Provenance> {
  const path = inputName(source, remote) ?? name;
  return {
    schema: 1,
    featx: VERSION,
    model: {
      name: path === undefined || path === '-' ? null : basename(path),
      ...(typeof source === 'string'
        ? await identityOf(opened, fileSystem)
        : { sha256: createHash('sha256').update(source).digest('hex') }),
    },
    features: features.map(({ tap, output, layout }) => ({
      output,
      index: tap.index,
      ...(tap.group == null ? {} : { group: tap.group }),
      module: tap.module,
      tensor: tap.tensors[0],
      layout,
    })),
    // Names of files are enough: a result says no absolute path.
    preprocessing: [...plan.preprocessing].map((one) => withoutFolder(preprocessingRecord(...one))),
  };
}

/** What tells a model from others: of a remote one, of which only parts are here, what its server says. */
async function identityOf(
  source: ByteSource,
  fs: FileSystem,
): Promise<{ readonly sha256: string | null; readonly etag?: string }> {
  if (source instanceof RemoteSource) return source.identity;
  return { sha256: source.path === undefined ? null : (await hashFile(fs, source.path)).sha256 };
}

function tokenizerRecord(text: TextInputs | null): Pick<RunReport, 'tokenizer'> {
  if (text === null) return {};
  const { path, maxLength, truncated } = text.tokenizer;
  return { tokenizer: { path, max_length: maxLength, truncated } };
}

/** How many pictures were read. */
function picturesOf({ inputs }: InputPlan, skipped: ReadonlyMap<string, FeatxError>): number {
  return inputs
    .flatMap(({ items }) => items)
    .filter(({ picture, file }) => picture !== null && !(file !== null && skipped.has(file))).length;
}

function withoutFolder(record: PreprocessingRecord): PreprocessingRecord {
  return { ...record, path: record.path === null ? null : basename(record.path) };
}

/** A batch whose results are being computed. */
interface Running {
  readonly batch: InputBatch;
  readonly results: Promise<ReadonlyMap<string, TensorValue>>;
}

/** What a batch was made of, and what it came to. */
interface Taken {
  readonly values: ReadonlyMap<string, TensorValue>;
  readonly feeds: ReadonlyMap<string, TensorValue>;
}

/** Adds up how long runs took that follow one another; a run that waits for the one before counts from its end. */
class Clock {
  ms = 0;
  private last = 0;

  time<T>(work: Promise<T>): Promise<T> {
    const asked = performance.now();
    const timed = work.then((result) => {
      const now = performance.now();
      this.ms += now - Math.max(asked, this.last);
      this.last = now;
      return result;
    });
    // Reported when its turn comes, or never where another error came first.
    timed.catch(() => undefined);
    return timed;
  }
}
