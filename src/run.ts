import type { TensorValue } from './onnx/tensor-value.js';
import { option } from './options/words.js';
import { resolve } from 'node:path';
import { DeviceRuns, entriesOf } from './device-runs.js';
import { IoError, UsageError } from './errors.js';
import { called } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import { FeatureRunner, type RunnerOptions } from './runner.js';
import type { RunFeatureRecord, RunReport } from './report/records.js';
import { assertNoWarnings } from './report/strict.js';
import type { PlannedOutput } from './rewrite/plan.js';
import { batches, batchSizeOf, type InputBatch } from './tensors/batches.js';
import { planInputs } from './tensors/input-plan.js';
import { RunningSummary } from './tensors/statistics.js';
import { TensorWriter } from './tensors/writer.js';
import { ioError, nodeFileSystem } from './wire/fs.js';
import { resolveTarget } from './wire/target.js';

/** What `run` takes: the options of the table, and what only a program can give. */
export type RunOptions = OptionsOf<'run'> &
  Pick<RunnerOptions, 'fileSystem' | 'resolve'> & {
    readonly onProgress?: (doneRows: number, totalRows: number) => void;
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

async function runBatches(source: string | Uint8Array, options: RunOptions): Promise<RunReport> {
  const started = performance.now();
  const { inputs = [], output, signal, fileSystem } = options;
  await assertProfile(options, typeof source === 'string' ? [source] : []);
  const open = (): Promise<FeatureRunner> =>
    FeatureRunner.open(source, {
      ...options,
      profilePrefix: options.profile,
      plan: {
        mode: 'dict',
        outMap: options.outMap ?? null,
        outputFmt: options.outputFmt ?? null,
        order: options.order ?? 'out',
      },
    });
  await using runner = await open();
  // Weights and what is computed from them alone need no input.
  if (inputs.length === 0 && runner.session.inputs.length > 0)
    throw new UsageError('no input is given', {
      code: 'FEATX_USAGE_INPUT',
      hint: `name files with ${option('inputs')}, or try ${option('inputs', ['random'])}`,
    });
  const plan = await planInputs(inputs, runner.session.inputs, {
    fileSystem,
    image: options.image,
    shapes: runner.inputShapes,
    given: runner.givenInputs,
    limits: options.tensorLimits,
  });
  const batchSize = batchSizeOf(plan, options.batchSize);
  const inputFiles = [...plan.files, ...runner.files, ...(options.reads ?? [])];
  await assertProfile(options, inputFiles);
  await using writer =
    output === undefined
      ? null
      : await TensorWriter.open(output, { ...options, inputs: inputFiles, totalRows: plan.rows, inPlace: false });
  const totals = runner.features.map((feature) => new FeatureTotal(feature));
  const layouts = new Map(runner.features.map(({ output: name, layout }) => [name, layout]));
  const hasBatchAxis = plan.inputs.every((input) => input.hasBatchAxis);
  const batched = new Set(plan.inputs.filter(({ isBatched }) => isBatched).map(({ name }) => name));
  await using device = new DeviceRuns(runner, { reopen: open, batched, layouts, isFixed: plan.fixedBatch !== null });
  const clock = new Clock();
  let written: ReadonlyMap<string, TensorValue> = new Map();
  const take = async ({ batch: { rows, size, start }, results }: Running): Promise<void> => {
    const isWhole = rows === size && rows === plan.rows;
    const values = await results;
    const real = new Map(
      [...values].map(([name, value]) => [
        name,
        isWhole ? value : entriesOf(name, value, { rows, size, layouts, hasBatchAxis }),
      ]),
    );
    await writer?.write(real, rows);
    for (const total of totals) total.add(real.get(total.feature.output));
    // The writer takes a batch once it is done with the one before.
    device.recycle(written);
    written = values;
    options.onProgress?.(start + rows, plan.rows);
  };
  let running: Running | null = null;
  for await (const batch of batches(plan, { batchSize, signal })) {
    // The next batch runs while the results of this one are summed up and written.
    const next: Running = { batch, results: clock.time(device.run(batch)) };
    if (running !== null) await take(running);
    // The profile is that of one batch.
    if (batch.index === 0) await next.results;
    running = next;
  }
  if (running !== null) await take(running);
  const warnings = [...new Set([...device.runner.warnings, ...device.warnings, ...plan.warnings])];
  if (options.strict) assertNoWarnings(warnings, typeof source === 'string' ? source : undefined);
  await writer?.finish();
  const path = options.name ?? (typeof source === 'string' ? source : null);
  await keepProfile(device.runner.session.profile, options);
  return {
    schema: 1,
    command: 'run',
    model: path,
    output: output ?? null,
    provider: device.runner.session.provider,
    inputs: plan.files,
    images: plan.images,
    preprocessing: [...plan.preprocessing].map(([input, preprocessing]) => ({ input, ...preprocessing })),
    features: totals.map((total) => total.record()),
    run_ms: Math.round(clock.ms),
    warnings,
    elapsed_ms: Math.round(performance.now() - started),
  };
}

/** A batch whose results are being computed. */
interface Running {
  readonly batch: InputBatch;
  readonly results: Promise<ReadonlyMap<string, TensorValue>>;
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

/** What a feature turned out to be, over all batches. */
class FeatureTotal {
  private readonly summary = new RunningSummary();
  private shape: readonly number[] | null = null;
  private dtype = '';

  constructor(readonly feature: PlannedOutput) {}

  add(value: TensorValue | undefined): void {
    if (value === undefined) return;
    if (this.shape !== null && String(this.shape.slice(1)) !== String(value.shape.slice(1)))
      throw new UsageError(
        `${this.feature.output} is [${value.shape.join(', ')}] for one input and [*, ${this.shape.slice(1).join(', ')}] for those before: they cannot be joined`,
        { hint: `run each by itself, or pictures at one size (${option('image.size')})` },
      );
    this.summary.add(value);
    this.dtype = value.dtype;
    this.shape =
      this.shape === null || value.shape.length === 0
        ? value.shape
        : [this.shape[0] + value.shape[0], ...value.shape.slice(1)];
  }

  record(): RunFeatureRecord {
    const { tap, output } = this.feature;
    const { min, max, mean, std, nan, infinite } = this.summary.result();
    return {
      index: tap.index,
      ...(tap.group == null ? {} : { group: tap.group }),
      module: tap.module,
      tensor: tap.tensors[0],
      output,
      shape: this.shape ?? [],
      dtype: this.dtype,
      min,
      max,
      mean,
      std,
      ...(nan === 0 ? {} : { nan }),
      ...(infinite === 0 ? {} : { infinite }),
    };
  }
}

/**
 * A profile that cannot be written, or that would replace what is read or written, is known before anything runs.
 * @throws UsageError, IoError
 */
async function assertProfile({ profile, output, ...options }: RunOptions, inputs: readonly string[]): Promise<void> {
  if (profile === undefined) return;
  if (output !== undefined && resolve(output) === resolve(profile))
    throw new UsageError(`the profile and the features would both be ${profile}`, {
      code: 'FEATX_USAGE_SAME_FILE',
      path: profile,
      hint: `choose another ${option('profile')}`,
    });
  await resolveTarget(profile, inputs, {
    fileSystem: options.fileSystem,
    noClobber: options.noClobber,
    inPlace: false,
  });
}

/** ONNX Runtime adds a time to the name that it is given; the profile gets the name that was asked for. */
async function keepProfile(
  written: string | null,
  { profile, fileSystem = nodeFileSystem }: RunOptions,
): Promise<void> {
  if (profile === undefined) return;
  if (written === null) throw new IoError(`ONNX Runtime wrote no profile to ${profile}`, { path: profile });
  await fileSystem.rename(written, profile).catch((error: unknown) => {
    throw ioError(error, 'write the profile', profile);
  });
}
