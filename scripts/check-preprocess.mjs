// npm run check:preprocess: ten pictures of odd sizes and modes through the presets, against what the libraries that
// they come from make of them (timm, torchvision, transformers with PIL, OpenCV as ultralytics calls it). No pixel may
// be further than 1/255 from theirs.
//   --python PATH   a Python with these libraries (default: python3); those it lacks are named and left out
//   --folder PATH   keeps pictures and reference values there, and takes those that are there
//   --record        writes the table to bench/results/preprocess.md and .json
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { bundleInto } from './bundled.mjs';
import { installed, root } from './ready.mjs';
import { madeOnce } from './reference.mjs';

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    folder: { type: 'string' },
    record: { type: 'boolean', default: false },
  },
});

/** How featx is told what a reference does, where that is not the name of a preset. */
const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], interpolation: 'bicubic' };
const CONFIGS = {
  'timm-squash': { pretrained_cfg: { ...IMAGENET, input_size: [3, 224, 224], crop_pct: 0.9, crop_mode: 'squash' } },
  'timm-border': { pretrained_cfg: { ...IMAGENET, input_size: [3, 224, 160], crop_pct: 1, crop_mode: 'border' } },
};
/** One step of 255, and what float32 rounds. */
const MOST = 1.001;

installed();
const folder = flags.folder ?? mkdtempSync(join(tmpdir(), 'featx-preprocess-'));
const home = join(root, 'node_modules', '.cache', 'featx', `preprocess-${process.pid}`);
try {
  const { versions, missing } = madeOnce(flags.python, join(root, 'scripts', 'preprocess', 'reference.py'), folder);
  for (const [name, config] of Object.entries(CONFIGS))
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(config));
  const { readPictures, readArrays } = await featx();
  const rows = new Map();
  for (const [key, reference] of await readArrays(join(folder, 'reference.npz'))) {
    const [preset, picture, size] = key.split('|');
    const file = join(folder, `${preset}.json`);
    const isPreset = !existsSync(file) || ['clip', 'siglip', 'dinov2', 'dinov3'].includes(preset);
    const [height, width] = size.split('x').map(Number);
    const input = { name: 'x', dtype: 'float32', shape: [1, 3, height, width] };
    const made = await readPictures([join(folder, picture)], input, { preprocess: isPreset ? preset : file });
    const row = rows.get(`${preset} ${size}`) ?? { equal: 0, pictures: 0, worst: 0, at: '' };
    const worst = furthest(made, reference, height * width);
    row.pictures++;
    if (worst === 0) row.equal++;
    if (worst > row.worst) Object.assign(row, { worst, at: picture });
    rows.set(`${preset} ${size}`, row);
    // The same through the file that transformers writes.
    if (isPreset && existsSync(file)) {
      const again = await readPictures([join(folder, picture)], input, { preprocess: file });
      if (furthest(again, made, height * width) > 0) throw new Error(`${file} is not the preset ${preset}`);
    }
  }
  const table = [...rows].map(
    ([name, { equal, pictures, worst, at }]) =>
      `| ${name} | ${equal}/${pictures} | ${worst === 0 ? '0' : worst.toFixed(2)}${at === '' ? '' : ` (${at})`} |`,
  );
  const libraries = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const text = `| preset, size | equal | furthest pixel, of 255 |\n| --- | --- | --- |\n${table.join('\n')}\n`;
  console.log(`against ${libraries.join(', ')}\n\n${text}`);
  for (const library of missing) console.log(`left out: ${library}`);
  if (flags.record) {
    const results = join(root, 'bench', 'results');
    const heading = `# Pictures\n\n\`npm run check:preprocess\`: ten pictures of odd sizes and modes (grey, palette, alpha, CMYK, progressive, turned by EXIF, 37 x 23 to 1000 x 101), held against ${libraries.join(', ')}. No pixel may be further than 1 of 255.\n\n`;
    writeFileSync(join(results, 'preprocess.md'), `${heading}${text}`);
    writeFileSync(
      join(results, 'preprocess.json'),
      `${JSON.stringify({ versions, rows: Object.fromEntries(rows) }, null, 2)}\n`,
    );
  }
  const bad = [...rows].filter(([, { worst }]) => worst > MOST);
  if (bad.length > 0) {
    console.error(`${bad.map(([name]) => name).join(', ')}: further than 1/255 from the reference`);
    process.exitCode = 1;
  }
} finally {
  rmSync(home, { recursive: true, force: true });
  if (flags.folder === undefined) rmSync(folder, { recursive: true, force: true });
}

async function featx() {
  await bundleInto(home, { pictures: 'src/tensors/in-memory.ts' });
  return import(pathToFileURL(join(home, 'pictures.mjs')).href);
}

/** The largest difference of two pictures in steps of 255, whatever they were normalised with. */
function furthest({ data: a }, { data: b }, plane) {
  let worst = 0;
  for (let channel = 0; channel < 3; channel++) {
    const [low, high] = range(b, channel * plane, plane);
    const [own, top] = range(a, channel * plane, plane);
    // What one step of 255 is worth follows from nothing but the values: deviations are not here.
    const step =
      stepOf(b, channel * plane, plane) ??
      stepOf(a, channel * plane, plane) ??
      (Math.max(high, top) - Math.min(low, own)) / 255;
    for (let at = channel * plane; at < (channel + 1) * plane; at++) {
      const steps = Math.abs(a[at] - b[at]) / (step || 1);
      if (steps > worst) worst = steps;
    }
  }
  return worst < 1e-3 ? 0 : worst;
}

function range(data, start, length) {
  let low = Infinity;
  let high = -Infinity;
  for (let at = start; at < start + length; at++) {
    low = Math.min(low, data[at]);
    high = Math.max(high, data[at]);
  }
  return [low, high];
}

/** The least difference between two values of a channel: one step, in a picture with neighbours. */
function stepOf(data, start, length) {
  const values = [...new Set(data.subarray(start, start + length))].sort((x, y) => x - y);
  let least = Infinity;
  for (let at = 1; at < values.length; at++)
    if (values[at] - values[at - 1] > 1e-6) least = Math.min(least, values[at] - values[at - 1]);
  return Number.isFinite(least) ? least : null;
}
