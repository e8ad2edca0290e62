// What a browser must make of the pages that featx writes. Each check gives figures, and throws what is wrong.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until an expression holds in a page. */
async function until(browser, expression, ms = 60_000) {
  const end = performance.now() + ms;
  while (!(await browser.evaluate(expression))) {
    if (performance.now() > end) throw new Error(`${browser.name}: never came true: ${expression}`);
    await pause(20);
  }
}

/** Opens a page and clears what was said before. */
export async function visit(browser, page) {
  await browser.go('about:blank');
  browser.messages.length = 0;
  browser.requests.length = 0;
  await browser.go(pathToFileURL(page).href);
}

/** That nothing was fetched, and nothing said on the console. */
function assertQuiet(browser) {
  const outside = browser.requests.filter((url) => !/^(file|data|blob|about):/.test(url));
  assert.deepEqual(outside, [], 'requests');
  assert.deepEqual(browser.messages, [], 'messages of the console');
}

/** That no page scrolls sideways, whatever its width. */
async function assertFits(browser) {
  for (const width of [1200, 390]) {
    await browser.size(width, 900);
    const wide = await browser.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    assert.ok(wide <= 0, `${width} pixels wide, it scrolls sideways by ${wide}`);
  }
  await browser.size(1200, 900);
}

/** That every picture is drawn, and what hostile names would have done was not. */
async function assertDrawn(browser) {
  const [images, broken] = await browser.evaluate(
    '(() => { const images = [...document.images]; return [images.length, images.filter(({ naturalWidth }) => !(naturalWidth > 0)).length]; })()',
  );
  assert.equal(broken, 0, `${broken} of ${images} images are not drawn`);
  assert.equal(await browser.evaluate('globalThis.hostile === undefined'), true, 'a hostile name was run');
  return images;
}

/** A report: quiet, drawn, and a click lights the cell that was clicked in every map. */
export async function checkReport(browser, page) {
  await visit(browser, page);
  const images = await assertDrawn(browser);
  await assertFits(browser);
  const [x, y] = await browser.evaluate(`(() => {
    const spot = document.querySelector('.photo-spot');
    spot.scrollIntoView({ block: 'center' });
    const box = spot.getBoundingClientRect();
    return [box.x + box.width * 0.3, box.y + box.height * 0.6];
  })()`);
  await browser.click(x, y);
  const lit = await browser.evaluate(`[...document.querySelectorAll('canvas')].map((canvas) => {
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
    const cell = Math.floor(0.6 * height) * width + Math.floor(0.3 * width);
    return [...data.subarray(cell * 4, cell * 4 + 3)].join();
  })`);
  assert.ok(lit.length > 0, 'no map');
  assert.deepEqual([...new Set(lit)], ['253,231,37'], 'the clicked cell is not the brightest');
  assertQuiet(browser);
  return { images, maps: lit.length };
}

/** A page that has nothing to click. */
export async function checkStill(browser, page) {
  await visit(browser, page);
  await assertDrawn(browser);
  await assertFits(browser);
  assertQuiet(browser);
}

/** Chooses a model on the page and waits until it is shown; `drop` drops it, if the browser can. */
export async function choose(browser, files) {
  if (browser.drop === undefined) await browser.setFiles('#file', files);
  else await browser.drop('#drop', files);
  await until(
    browser,
    "!document.getElementById('model').hidden || document.getElementById('problem').textContent !== ''",
  );
  const status = await browser.evaluate("document.getElementById('status').textContent");
  const [, ms] = /found in (\d+) ms/.exec(status) ?? [];
  assert.ok(ms !== undefined, await browser.evaluate("document.getElementById('problem').textContent"));
  return Number(ms);
}

/** Takes the features of these indices, in the mode and with the weights that are asked for. */
async function take(browser, indices, { mode = 'dict', weights = 'keep' } = {}) {
  await browser.evaluate(`(() => {
    for (const box of document.querySelectorAll('input[data-key^="feature "]')) if (box.checked) box.click();
    for (const [name, value] of ${JSON.stringify([
      ['mode', mode],
      ['weights', weights],
    ])}) document.querySelector('input[name=' + name + '][value=' + value + ']').click();
    for (const index of ${JSON.stringify(indices)}) document.querySelector('input[data-key="feature ' + index + '"]').click();
  })()`);
  await until(browser, "!document.getElementById('save').disabled");
  assert.equal(await browser.evaluate("document.getElementById('problem').textContent"), '');
}

/** Saves the cut and gives the path of the download. */
async function save(browser, downloads, size) {
  for (const name of readdirSync(downloads)) rmSync(join(downloads, name));
  await browser.evaluate("document.getElementById('save').click()");
  const end = performance.now() + 120_000;
  for (;;) {
    const [name, ...others] = readdirSync(downloads);
    if (others.length === 0 && name?.endsWith('.onnx') && statSync(join(downloads, name)).size === size)
      return join(downloads, name);
    if (performance.now() > end)
      throw new Error(`${browser.name} did not save ${size} bytes: ${readdirSync(downloads).join(', ')}`);
    await pause(20);
  }
}

/** The page: a cut of a model is that of `extract` to the byte. `expected`: files, by what is asked for. */
export async function checkCuts(browser, { page, model, downloads, expected }) {
  await visit(browser, page);
  await browser.downloadsTo(downloads);
  const openedIn = await choose(browser, [model]);
  for (const { indices, path, ...how } of expected) {
    await take(browser, indices, how);
    const size = statSync(path).size;
    const saved = await save(browser, downloads, size);
    assert.ok(
      isSame(saved, path),
      `${browser.name}: the cut ${JSON.stringify({ indices, ...how })} is not that of extract`,
    );
  }
  assertQuiet(browser);
  await assertFits(browser);
  return { openedIn };
}

function isSame(a, b) {
  return readFileSync(a).equals(readFileSync(b));
}

/** The page by keyboard: Tab and the space bar take the first feature, and everything that takes input has a name. */
export async function checkKeyboard(browser, { page, model }) {
  await visit(browser, page);
  await choose(browser, [model]);
  let presses = 0;
  while (!(await browser.evaluate("document.activeElement?.dataset?.key === 'feature 0'"))) {
    assert.ok(++presses < 20, 'Tab does not lead to the first feature');
    await browser.press('Tab');
  }
  await browser.press(' ');
  await until(browser, "!document.getElementById('save').disabled");
  const nameless = await browser.evaluate(
    `[...document.querySelectorAll('input, select, button')].filter((control) => (control.ariaLabel ?? '') === '' && control.labels?.length !== 1 && control.textContent.trim() === '').map(({ outerHTML }) => outerHTML)`,
  );
  assert.deepEqual(nameless, [], 'controls without a name');
  assertQuiet(browser);
  return { presses };
}

/** A cut run in the page, with the files of onnxruntime-web: pictures are drawn, and a click lights its cell. */
export async function checkRun(browser, { page, model, picture, runtime }) {
  await visit(browser, page);
  await choose(browser, [model]);
  await take(browser, [0, 1]);
  await browser.setFiles(
    '#runtime',
    ['ort.wasm.bundle.min.mjs', 'ort-wasm-simd-threaded.wasm'].map((name) => join(runtime, name)),
  );
  await browser.setFiles('#picture', [picture]);
  const started = performance.now();
  await browser.evaluate("document.querySelector('#run-form button').click()");
  await until(
    browser,
    "document.querySelectorAll('#figures section').length > 0 || document.getElementById('problem').textContent !== ''",
  );
  assert.equal(await browser.evaluate("document.getElementById('problem').textContent"), '');
  const maps = await browser.evaluate("document.querySelectorAll('#figures canvas').length");
  assertQuiet(browser);
  await assertFits(browser);
  return { maps, ms: Math.round(performance.now() - started) };
}
