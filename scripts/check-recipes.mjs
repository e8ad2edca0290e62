// npm run check:recipes: what a cut computes of features, and of pixels in front of the network, against PyTorch and
// Pillow, at opsets 9 to 21, with the optimiser off and on, with fixed and symbolic batches. What an opset cannot do
// must be refused.
//   --python PATH  a Python with torch, Pillow and onnx: larger cases with fresh values, onnx.checker on every model,
//                  and pictures; without it the cases of fixtures/recipes alone
//   --seed S       of the fresh values (default 7)
//   --record       write bench/results/recipes.md and recipes.json
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleInto } from './bundled.mjs';
import { installed, root } from './ready.mjs';

const OPSETS = [9, 11, 13, 17, 18, 21];
const argumentOf = (name) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};
const python = argumentOf('python');
const seed = argumentOf('seed') ?? '7';

installed();
const home = join(root, 'node_modules', '.cache', 'featx', `recipes-${process.pid}`);
mkdirSync(home, { recursive: true });
let failures = 0;
const fail = (message) => {
  failures++;
  console.error(`FAIL ${message}`);
};
const runPython = (script, ...args) =>
  execFileSync(python, [join(root, 'scripts', 'recipes', script), ...args], { maxBuffer: 2 ** 28, encoding: 'utf8' });

try {
  await bundleInto(home, { recipes: 'src/testing/recipes.ts', pixels: 'src/testing/pixels.ts' });
  const load = (name) => import(pathToFileURL(join(home, `${name}.mjs`)).href);
  const { runRecipe } = await load('recipes');
  const { preparedPixels } = await load('pixels');
  const cases = JSON.parse(
    python === undefined
      ? readFileSync(join(root, 'fixtures', 'recipes', 'cases.json'), 'utf8')
      : runPython('oracle.py', seed),
  );
  const rows = await checkRecipes(runRecipe, cases);
  const pictures = python === undefined ? null : await checkPictures(preparedPixels);
  console.log(`${rows.length} recipes, ${failures === 0 ? 'all as they should be' : `${failures} failures`}`);
  if (process.argv.includes('--record')) record(rows, pictures);
} finally {
  rmSync(home, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;

async function checkRecipes(runRecipe, cases) {
  const rows = [];
  const models = [];
  for (const each of cases) {
    const errors = {};
    for (const opset of OPSETS) {
      for (const [optimization, isSymbolic] of [
        ['disabled', false],
        ['all', true],
      ]) {
        const result = await runRecipe(each, opset, optimization, isSymbolic);
        if ((result === null) !== opset < each.since) fail(`${each.name}, opset ${opset}: refused, or not`);
        if (result === null) continue;
        // The optimiser fuses, and rounds elsewhere.
        if (!(result.error <= each.error * (optimization === 'all' ? 2 : 1)))
          fail(`${each.name}, opset ${opset}, ${optimization}: off by ${result.error}, allowed ${each.error}`);
        errors[opset] = Math.max(errors[opset] ?? 0, result.error);
        const path = join(home, `${models.length}.onnx`);
        writeFileSync(path, result.model);
        models.push(path);
      }
    }
    rows.push({ name: each.name, since: each.since, allowed: each.error, errors });
  }
  if (python !== undefined) {
    const list = join(home, 'models.txt');
    writeFileSync(list, models.join('\n'));
    const wrong = execFileSync(
      python,
      [
        '-c',
        'import onnx,sys\nfor p in open(sys.argv[1]).read().split("\\n"):\n  try: onnx.checker.check_model(p, full_check=True)\n  except Exception as e: print(p, str(e)[:200].replace("\\n", " "))',
        list,
      ],
      { encoding: 'utf8' },
    );
    for (const line of wrong.split('\n').filter(Boolean)) fail(`onnx.checker: ${line}`);
    console.log(`onnx.checker: ${models.length} models`);
  }
  return rows;
}

async function checkPictures(preparedPixels) {
  const picture = join(root, 'fixtures', 'pictures', 'chelsea.png');
  const { stats, cases } = JSON.parse(runPython('pixels.py', picture));
  const rows = [];
  for (const { name, preprocess, resize, size, shape, data, want } of cases) {
    const levels = { data: new Uint8Array(Buffer.from(data, 'base64')), shape };
    const bytes = new Uint8Array(Buffer.from(want, 'base64'));
    const expected = new Float32Array(bytes.buffer, 0, bytes.length / 4);
    for (const [opset, optimization] of resize === null
      ? OPSETS.flatMap((each) => [
          [each, 'disabled'],
          [each, 'all'],
        ])
      : [
          [18, 'disabled'],
          [21, 'all'],
        ]) {
      const pixels = { preprocess, ...(resize === null ? {} : { resize }) };
      const got = await preparedPixels(pixels, opset, size, levels, optimization);
      const plane = size[0] * size[1];
      let equal = 0;
      let most = 0;
      for (let at = 0; at < got.length; at++) {
        if (got[at] === expected[at]) equal++;
        const { std } = stats[preprocess];
        most = Math.max(most, Math.abs(got[at] - expected[at]) * std[Math.floor(at / plane)] * 255);
      }
      const share = equal / expected.length;
      const isGood = got.length === expected.length && (resize === null ? share === 1 : share >= 0.99 && most < 1.01);
      if (!isGood)
        fail(
          `${name}, opset ${opset}, ${optimization}: ${(100 * share).toFixed(2)} % equal, off by ${most.toFixed(2)} levels`,
        );
      rows.push({ name, opset, optimization, equal: share, levels: Math.round(most) });
    }
  }
  console.log(
    `pictures: ${rows.length} runs, at least ${(100 * Math.min(...rows.map(({ equal }) => equal))).toFixed(2)} % of the values equal`,
  );
  return rows;
}

function record(rows, pictures) {
  const folder = join(root, 'bench', 'results');
  const number = (value) => (value === undefined ? 'refused' : value === 0 ? '0' : value.toExponential(1));
  const lines = [
    '# Recipes against PyTorch and Pillow',
    '',
    `\`npm run check:recipes -- --python PYTHON --record\`: values with seed ${seed}, torch and Pillow on the CPU, ONNX Runtime with the optimiser off and, with a symbolic batch, on; the larger of the two differences. Every model passes onnx.checker with shape inference.`,
    '',
    `| recipe | ${OPSETS.map((opset) => `opset ${opset}`).join(' | ')} |`,
    `| --- | ${OPSETS.map(() => '---').join(' | ')} |`,
    ...rows.map(({ name, errors }) => `| ${name} | ${OPSETS.map((opset) => number(errors[opset])).join(' | ')} |`),
  ];
  if (pictures !== null) {
    const names = [...new Set(pictures.map(({ name }) => name))];
    lines.push('', '| pictures | values equal | most levels of 255 |', '| --- | --- | --- |');
    for (const name of names) {
      const own = pictures.filter((row) => row.name === name);
      lines.push(
        `| ${name} | ${(100 * Math.min(...own.map(({ equal }) => equal))).toFixed(2)} % | ${Math.max(...own.map(({ levels }) => levels))} |`,
      );
    }
  }
  writeFileSync(join(folder, 'recipes.md'), `${lines.join('\n')}\n`);
  writeFileSync(
    join(folder, 'recipes.json'),
    `${JSON.stringify({ seed: Number(seed), recipes: rows, pictures }, null, 2)}\n`,
  );
}
