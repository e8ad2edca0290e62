// npm run check:browsers: the pages of featx in real browsers. Each must fetch nothing, say nothing on the console,
// draw every picture, light the cell that is clicked, leave hostile names as text, and save cuts that are those of the
// command line to the byte.
//   --required       a browser that is missing is a failure, not a note
//   --short          without the model of a gigabyte
//   --shots DIR      screenshots of every page, at two widths, light and (Chromium) dark
//   --runtime DIR    dist of the package onnxruntime-web: cuts are run, too
// FEATX_CHROMIUM and FEATX_FIREFOX name their programs.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { layered } from '../bench/lib/models.mjs';
import { checkCuts, checkKeyboard, checkReport, checkRun, checkStill, choose, visit } from './browsers/checks.mjs';
import { chromium, openChromium } from './browsers/chromium.mjs';
import { firefox, openFirefox } from './browsers/firefox.mjs';
import { memoryOf } from './browsers/memory.mjs';
import { built, root } from './ready.mjs';

if (globalThis.WebSocket === undefined) {
  const again = [...process.execArgv, '--experimental-websocket', '--no-warnings', ...process.argv.slice(1)];
  process.exit(spawnSync(process.execPath, again, { stdio: 'inherit' }).status ?? 1);
}
const { values: flags } = parseArgs({
  options: {
    required: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    shots: { type: 'string' },
    runtime: { type: 'string' },
  },
});
built();
const { diff, extract, page, report } = await import(join(root, 'dist', 'index.js'));
const fixture = (...path) => join(root, 'fixtures', ...path);
const home = mkdtempSync(join(tmpdir(), 'featx-browsers-'));
const at = (name) => join(home, name);
const LARGE_INDEX_MS = 500;
const LARGE_MEMORY = 100e6;

const HOSTILE = '<img src=x onerror="hostile=1">';
const RESNET = fixture('timm', 'test_resnet.ts.onnx');
const CAT = fixture('pictures', 'chelsea.png');

/** The pages, and the cuts that they must equal. */
async function prepare() {
  await page({ output: at('featx.html') });
  await report(fixture('pictures', 'squeezenet1.1_fp16.onnx'), { inputs: [CAT], output: at('report.html') });
  const hostile = {
    select: [{ by: 'index', indices: [0, 1] }],
    outMap: [HOSTILE, '</script><script>hostile=1</script>'],
  };
  await extract(RESNET, at('hostile.onnx'), hostile);
  await report(at('hostile.onnx'), { inputs: [CAT], output: at('hostile.html') });
  await diff(RESNET, at('hostile.onnx'), { output: at('diff.html') });
  const cuts = [{ indices: [1, 3] }, { indices: [4], mode: 'hook' }, { indices: [2], weights: 'reference' }];
  copyFileSync(RESNET, at('model.onnx'));
  for (const [number, cut] of cuts.entries()) {
    cut.path = at(`cut-${number}.onnx`);
    const { indices, path, ...how } = cut;
    await extract(at('model.onnx'), path, { out: indices, ...how });
  }
  return cuts;
}

/** The model of a gigabyte, and its cuts. */
async function large() {
  const path = at('chain-1gb.onnx');
  layered(path, { channels: 752, sparse: true, hasValueInfo: false });
  const expected = [
    { indices: [0], path: at('large-cut.onnx') },
    { indices: [0], mode: 'hook', path: at('large-hook.onnx') },
  ];
  for (const { path: output, indices, mode } of expected) await extract(path, output, { out: indices, mode });
  return { path, expected };
}

async function check(browser, small, big, downloads) {
  const figures = [];
  const step = async (name, work) => {
    try {
      const found = await work();
      figures.push(name + (found === undefined ? '' : ` ${JSON.stringify(found)}`));
    } catch (error) {
      throw new Error(`${browser.name}, ${name}: ${error.message}`, { cause: error });
    }
  };
  await step('report', () => checkReport(browser, at('report.html')));
  await step('report of hostile names', () => checkReport(browser, at('hostile.html')));
  await step('diff of hostile names', () => checkStill(browser, at('diff.html')));
  await step('page: cuts', () =>
    checkCuts(browser, { page: at('featx.html'), model: at('model.onnx'), downloads, expected: small }),
  );
  await step('page: keyboard', () => checkKeyboard(browser, { page: at('featx.html'), model: RESNET }));
  await step('page: hostile names', async () => {
    await visit(browser, at('featx.html'));
    await choose(browser, [at('hostile.onnx')]);
    if (!(await browser.evaluate('globalThis.hostile === undefined'))) throw new Error('a name was run');
  });
  if (flags.runtime !== undefined)
    await step('page: run', () =>
      checkRun(browser, { page: at('featx.html'), model: RESNET, picture: CAT, runtime: flags.runtime }),
    );
  if (big !== null)
    await step('page: a gigabyte', async () => {
      await visit(browser, at('featx.html'));
      const before = memoryOf(browser.pid);
      const { openedIn } = await checkCuts(browser, {
        page: at('featx.html'),
        model: big.path,
        downloads,
        expected: big.expected,
      });
      const grown = before === null ? null : memoryOf(browser.pid) - before;
      if (openedIn > LARGE_INDEX_MS) throw new Error(`found in ${openedIn} ms, at most ${LARGE_INDEX_MS}`);
      if (grown !== null && grown > LARGE_MEMORY) throw new Error(`memory grew by ${Math.round(grown / 1e6)} MB`);
      return { openedIn, grownMB: grown === null ? null : Math.round(grown / 1e6) };
    });
  if (flags.shots !== undefined) await shots(browser, flags.shots);
  return figures;
}

async function shots(browser, folder) {
  mkdirSync(folder, { recursive: true });
  for (const name of ['featx', 'report', 'diff', 'hostile'])
    for (const scheme of browser.schemes)
      for (const width of [1200, 390]) {
        await browser.scheme(scheme);
        await browser.size(width, 900);
        await visit(browser, at(`${name}.html`));
        if (name === 'featx') {
          await choose(browser, [RESNET]);
          await browser.evaluate(
            "document.querySelectorAll('input[data-key]')[1].click(), document.getElementById('modules').open = true",
          );
          await new Promise((resolve) => setTimeout(resolve, 500));
        }
        writeFileSync(join(folder, `${browser.name}-${name}-${scheme}-${width}.png`), await browser.screenshot());
      }
}

const BROWSERS = [
  { name: 'Chromium', find: chromium, open: openChromium },
  { name: 'Firefox', find: firefox, open: openFirefox },
];
try {
  const small = await prepare();
  const big = flags.short ? null : await large();
  let failed = false;
  for (const { name, find, open } of BROWSERS) {
    const program = find();
    if (program === null) {
      console.log(`${name}: not found, ${flags.required ? 'and it is required' : 'skipped'}`);
      failed ||= flags.required;
      continue;
    }
    const downloads = at(`downloads-${name}`);
    mkdirSync(downloads);
    const browser = await open(program, downloads);
    try {
      for (const figure of await check(browser, small, big, downloads)) console.log(`${name}: ${figure}`);
    } catch (error) {
      console.error(error.message);
      failed = true;
    } finally {
      await browser.close();
    }
  }
  process.exitCode = failed ? 1 : 0;
} finally {
  rmSync(home, { recursive: true, force: true });
}
