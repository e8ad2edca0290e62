import { viewGraph, type PlannedBytes } from '../core.js';
import { featureMap } from '../measures/maps.js';
import { PRESET_NAMES } from '../options/choices.js';
import { figuresOf } from '../pages/figures.js';
import { AUTO } from '../preprocessing/find.js';
import { pictureTaker } from '../preprocessing/input.js';
import { recipeFor } from '../preprocessing/model-recipe.js';
import type { Preprocessing } from '../preprocessing/recipe.js';
import { settledFor, warningsOf } from '../preprocessing/settle.js';
import { preprocessingRecord, preprocessingText } from '../report/preprocessing-record.js';
import { escapeText } from '../report/escape.js';
import { bytesText } from '../report/units.js';
import { toFloat32 } from '../tensors/convert.js';
import { fitted } from '../tensors/fit-picture.js';
import { pictureTensor } from '../tensors/picture-tensor.js';
import type { Picture } from '../tensors/resample.js';
import { blobOf } from './cut.js';
import { byId, element } from './dom.js';
import { figureView, photoView, Places } from './figures.js';
import { say, showProblem } from './messages.js';
import type { ChosenModel } from './model.js';
import { openRuntime, type Runtime } from './runtime.js';

/** ONNX Runtime copies a model into its memory, of which a page has 4 GB at most. */
const LARGEST_RUN = 1_000_000_000;

/** The runtime that was chosen; it stays for the next model. */
let runtime: Promise<Runtime> | null = null;

/** Runs that were asked for, of whatever model: only the last one is shown. */
let asked = 0;

/** Runs a cut on a picture and shows its features. */
export class RunPanel {
  private cut: PlannedBytes | null = null;

  constructor(private readonly chosen: ChosenModel) {
    const how = byId('how');
    if (!how.hasChildNodes()) how.append(...[AUTO, ...PRESET_NAMES].map((name) => element('option', {}, name)));
    byId('figures').replaceChildren();
    asked++;
    byId('run-form').onsubmit = (event) => {
      event.preventDefault();
      const mine = ++asked;
      this.run(() => mine === asked).catch((error: unknown) => {
        if (mine === asked) showProblem(error);
      });
    };
  }

  /** What would be run. */
  planned(cut: PlannedBytes | null): void {
    this.cut = cut;
    byId('run').hidden = cut === null;
  }

  private async run(isLast: () => boolean): Promise<void> {
    const { cut } = this;
    const [picture] = filesOf('picture');
    if (cut === null || picture === undefined) throw new Error('choose a picture');
    if (cut.report.size_bytes > LARGEST_RUN)
      throw new Error(
        `a cut of ${bytesText(cut.report.size_bytes)} is too large to be run in a page: at most ${bytesText(LARGEST_RUN)}`,
      );
    showProblem(null);
    say('Running…');
    const started = performance.now();
    const ort = await theRuntime();
    const { input, how, warnings } = await this.preparation();
    const decoded = await decode(picture, how.orientation);
    const bytes = new Uint8Array(await (await blobOf(cut)).arrayBuffer());
    const values = await ort.run(bytes, new Map([[input, pictureTensor(decoded, how)]]));
    const places = new Places();
    if (!isLast()) return;
    const figures = cut.outputs.flatMap((output) => {
      const value = values.get(output.output);
      return value === undefined
        ? []
        : [figureView(output.output, figuresOf(featureMap(toFloat32(value), value.shape, output)), places)];
    });
    byId('figures').replaceChildren(
      element('p', { class: 'soft' }, preprocessingText(preprocessingRecord(input, how))),
      element('ul', { class: 'warning' }, ...warnings.map((warning) => element('li', {}, escapeText(warning)))),
      photoView(fitted(decoded, how), picture.name, places),
      ...figures,
    );
    places.choose(0.5, 0.5);
    say(`Ran ${escapeText(this.chosen.name)} in ${Math.round(performance.now() - started)} ms.`);
  }

  /** How pictures become the input of the model. @throws UsageError if it takes no picture */
  private async preparation(): Promise<{
    readonly input: string;
    readonly how: Preprocessing;
    readonly warnings: readonly string[];
  }> {
    const { report, model, configs } = this.chosen;
    const inputs = report.inputs.map(({ name, dtype = null, shape }) => ({ name, dtype, shape }));
    const taker = pictureTaker(inputs);
    const input = inputs.find(taker);
    if (input === undefined || inputs.length > 1)
      throw new Error(
        `a page runs models with one input, of pictures; this one has ${inputs.map(({ name }) => name).join(', ')}`,
      );
    const choice = byId('how');
    const name = choice instanceof HTMLSelectElement ? choice.value : AUTO;
    const found = await recipeFor(viewGraph(model), input, name, {
      beside: () => Promise.resolve(configs),
      read: (path) => Promise.reject(new Error(`there is no file ${path}`)),
    });
    const how = settledFor(input, found, { numbers: report.nominal_input_shape[input.name], isGiven: false });
    return { input: input.name, how, warnings: warningsOf(found, how) };
  }
}

function filesOf(id: string): readonly File[] {
  const input = byId(id);
  return input instanceof HTMLInputElement ? [...(input.files ?? [])] : [];
}

/** The runtime of this page, or of the files that were chosen; what fails is tried again. */
function theRuntime(): Promise<Runtime> {
  runtime ??= openRuntime(filesOf('runtime')).catch((error: unknown) => {
    runtime = null;
    throw error;
  });
  return runtime;
}

/**
 * The pixels of a picture as RGB, its colour profile not applied. A canvas keeps colours multiplied with alpha, so what
 * is transparent has others than the command line reads.
 */
async function decode(file: File, orientation: Preprocessing['orientation']): Promise<Picture> {
  const bitmap = await createImageBitmap(file, {
    colorSpaceConversion: 'none',
    premultiplyAlpha: 'none',
    imageOrientation: orientation === 'apply' ? 'from-image' : 'none',
  }).catch((cause: unknown) => {
    throw new Error(`${file.name} is not a picture that this browser can decode`, { cause });
  });
  const { width, height } = bitmap;
  const context = element('canvas', { width, height }).getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error('this browser draws nothing');
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data: rgba } = context.getImageData(0, 0, width, height);
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++)
    for (let part = 0; part < 3; part++) data[pixel * 3 + part] = rgba[pixel * 4 + part];
  return { data, width, height };
}
