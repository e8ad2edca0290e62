import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { attentionMap, featureMap } from '../measures/maps.js';
import { page } from '../page.js';
import { report } from '../report-features.js';
import { runCli } from '../testing/cli.js';
import type { PageReport } from '../report/page-records.js';
import { palette, quantiles, stretched } from './colours.js';
import { figuresOf } from './figures.js';
import { encodePng } from './png.js';
import { reportPage } from './report-page.js';

const MODEL = 'fixtures/pictures/squeezenet1.1_fp16.onnx';
const CAT = 'fixtures/pictures/chelsea.png';

test('a PNG is read by another decoder as it was drawn', async () => {
  const data = Uint8Array.from({ length: 5 * 3 * 3 }, (_, at) => (at * 37) & 0xff);
  const { data: read, info } = await sharp(encodePng({ width: 5, height: 3, data }))
    .raw()
    .toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels, ...read]).toEqual([5, 3, 3, ...data]);
  const indexed = encodePng({ width: 2, height: 1, data: Uint8Array.of(0, 255), palette: palette() });
  expect([...(await sharp(indexed).removeAlpha().raw().toBuffer())]).toEqual([68, 1, 84, 253, 231, 37]);
});

test('values become bytes over their range, whatever it is', () => {
  expect([...stretched([0, 5, 10, 20, Number.NaN], 0, 10)]).toEqual([0, 128, 255, 255, 0]);
  expect([...stretched([3, 3], 3, 3)]).toEqual([127, 127]);
  expect(quantiles([4, 1, 3, 2], 0)).toEqual([1, 4]);
  expect(quantiles([], 0.1)).toEqual([0, 0]);
});

test('the likeness that a page can tell is that of the features', () => {
  // A map of 12 x 12 cells and 20 channels that falls off, as those of networks do.
  const values = Float32Array.from(
    { length: 144 * 20 },
    (_, at) => Math.sin(at * 0.7 + (at % 20)) / (1 + Math.floor(at / 144)),
  );
  const map = featureMap(values, [1, 20, 12, 12], { layout: 'NCHW' });
  const { likeness } = figuresOf(map);
  if (likeness === null) throw new Error('no likeness');
  const mean = Array.from({ length: 20 }, (_, channel) => {
    let sum = 0;
    for (let cell = 0; cell < 144; cell++) sum += map.cells.values[cell * 20 + channel] / 144;
    return sum;
  });
  const exact = (a: number, b: number): number =>
    cosine(20, (cell, part) => map.cells.values[cell * 20 + part] - mean[part], a, b);
  const told = (a: number, b: number): number =>
    cosine(likeness.parts, (cell, part) => likeness.codes[cell * likeness.parts + part], a, b);
  for (const cell of [0, 50, 77, 143])
    for (let other = 0; other < 144; other += 5) expect(told(cell, other)).toBeCloseTo(exact(cell, other), 1);
});

function cosine(parts: number, at: (cell: number, part: number) => number, a: number, b: number): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let part = 0; part < parts; part++) {
    ab += at(a, part) * at(b, part);
    aa += at(a, part) ** 2;
    bb += at(b, part) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

describe('a report', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'featx-report-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('is one page that loads nothing, at most 300 KB for 4 features and a picture', async () => {
    const output = join(folder, 'page.html');
    const png = join(folder, 'png');
    const made = await report(MODEL, {
      inputs: [CAT],
      output,
      png,
      image: { mean: [0.485, 0.456, 0.406], std: [1 / 255] },
    });
    expect(made.features).toHaveLength(4);
    // numpy 2 of what `featx run` wrote: svd of the centred cells, channels of one value, zeros.
    const golden = [
      [[0.2206311, 0.1641049, 0.1507025], 0, 0.464039],
      [[0.1069182, 0.1035991, 0.0812218], 0, 0.595491],
      [[0.0986519, 0.0797939, 0.0601402], 1, 0.722404],
      [[0.1880555, 0.1226162, 0.0827302], 63, 0.909209],
    ] as const;
    made.features.forEach(({ explained, silent_channels: silent, zeros_share: zeros }, at) => {
      const [shares, quiet, empty] = golden[at];
      shares.forEach((share, part) => expect(Math.abs(explained[part] - share)).toBeLessThan(1e-5));
      expect([silent, zeros]).toEqual([quiet, expect.closeTo(empty, 5)]);
    });
    expect(made.size_bytes).toBeLessThan(300_000);
    const page = await readFile(output, 'utf8');
    expect(page.length).toBe(made.size_bytes);
    // No address but data: inside it, and the only script is the one that the policy names.
    expect(page).not.toMatch(/https?:|(?:src|href)="(?!data:)/);
    const [, script = ''] = /<script>([^]*?)<\/script>/.exec(page) ?? [];
    expect(page).toContain(`script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`);
    expect([...page.matchAll(/<script/g)]).toHaveLength(2);
    expect((await readdir(png)).length).toBe(made.pictures.length);
  });

  test('warns of an input that another normalisation suits better', async () => {
    const { warnings, input_check: check } = await report(MODEL, {
      inputs: [CAT],
      output: join(folder, 'b.html'),
      out: [3],
      inputCheck: true,
      image: { mean: [0], std: [1] },
    });
    expect(warnings.join()).toContain('may be prepared in another way');
    expect(check?.filter(({ is_used: isUsed }) => isUsed).map(({ name }) => name)).toEqual(['0 to 1']);
  });

  test('of the command line names flags', async () => {
    const output = join(folder, 'flags.html');
    const argv = ['fixtures/timm/test_resnet.ts.onnx', '--input', CAT, '--out', '0', '-o', output, '--quiet'];
    expect((await runCli(['report', ...argv])).exit).toBe(0);
    const page = await readFile(output, 'utf8');
    expect(page).toContain('say it with --preprocess NAME or with --mean and --std');
    expect(page).not.toContain('image.preprocess');
  });

  test('vectors and random values have no pictures, and numbers all the same', async () => {
    const output = join(folder, 'c.html');
    const argv = ['report', 'fixtures/timm/test_vit.ts.onnx', '--input', 'random:3', '--embedding', '-o', output];
    const { exit, stdout } = await runCli([...argv, '--json']);
    expect([exit, JSON.parse(stdout)]).toMatchObject([
      0,
      { entries: 1, features: [{ height: 1, width: 1, explained: [], silent_channels: null }] },
    ]);
    expect(await readFile(output, 'utf8')).not.toContain('<canvas');
  });

  test('attention is what the class token looks at, and the last one is there by itself', async () => {
    // 2 heads, a class token and 2 x 2 places: head h pays cell c of its own.
    const values = Float32Array.from({ length: 50 }, (_, at) => at);
    expect(attentionMap(values, [1, 2, 5, 5])).toEqual({
      attention: 'paid',
      map: {
        height: 2,
        width: 2,
        cells: { rows: 4, columns: 2, values: Float32Array.of(1, 26, 2, 27, 3, 28, 4, 29) },
      },
    });
    // Without one, the mean of the columns.
    expect(attentionMap(Float32Array.of(1, 3, 5, 7, ...new Float32Array(12)), [1, 1, 4, 4])).toMatchObject({
      attention: 'received',
      map: { height: 2, cells: { values: Float32Array.of(0.25, 0.75, 1.25, 1.75) } },
    });
    expect(attentionMap(values, [2, 1, 5, 5])).toBeNull();
    const model = 'fixtures/timm/test_vit.ts.onnx';
    const { features } = await report(model, { inputs: [CAT], output: join(folder, 'd.html') });
    expect(features.at(-1)).toMatchObject({
      group: 'attention',
      attention: 'paid',
      channels: 2,
      height: 10,
      width: 10,
    });
    expect(features.length).toBeGreaterThan(1);
  });

  test('names that are HTML stay text', () => {
    const nasty = `<img src=x onerror="alert(1)">'\u202e`;
    const map = featureMap(
      Float32Array.from({ length: 8 }, (_, at) => at),
      [1, 2, 2, 2],
      { layout: 'NCHW' },
    );
    const made: PageReport = {
      schema: 1,
      command: 'report',
      featx: '0',
      model: nasty,
      output: nasty,
      provider: nasty,
      inputs: [nasty],
      entries: 1,
      preprocessing: [],
      features: [
        {
          index: 0,
          module: nasty,
          tensor: nasty,
          output: nasty,
          channels: 2,
          height: 2,
          width: 2,
          reduction: null,
          silent_channels: 0,
          zeros_share: 0,
          min: 0,
          max: 7,
          explained: [],
        },
      ],
      input_check: null,
      size_bytes: 0,
      pictures: [],
      warnings: [nasty],
      elapsed_ms: 0,
    };
    const page = reportPage(made, [{ name: nasty, photo: null, figures: [figuresOf(map)] }]);
    expect(page).not.toContain('<img src=x');
    expect(page).not.toContain('\u202e');
    expect(
      [...page.matchAll(/onerror=(?!&)/g)].filter(({ index }) => page.slice(index - 40, index).includes('<img')),
    ).toEqual([]);
  });
});

describe('the page of a browser', () => {
  const policyOf = (html: string): string =>
    /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? '';
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'featx-page-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('a name that browsers would show as text is warned of', async () => {
    expect((await page({ output: join(folder, 'featx') })).warnings).toEqual([
      expect.stringMatching(/featx does not end in \.html/),
    ]);
    expect((await page({ output: join(folder, 'featx.HTM') })).warnings).toEqual([]);
  });

  test('is one file that may fetch nothing, unless a server is named', async () => {
    const output = join(folder, 'featx.html');
    const { size_bytes: size } = await page({ output });
    const html = await readFile(output, 'utf8');
    expect(Buffer.byteLength(html)).toBe(size);
    expect(policyOf(html)).toContain("connect-src 'none'");
    expect(policyOf(html)).toContain("default-src 'none'");
    expect(html).not.toContain('id="url"');
    const [, script = ''] = /<script>([^]*?)<\/script>/.exec(html) ?? [];
    expect(policyOf(html)).toContain(`'sha256-${createHash('sha256').update(script).digest('base64')}'`);
    expect(html).not.toMatch(/<(?:script|link|img)[^>]*\s(?:src|href)=/);
    const { connect } = await page({ output, connect: ['https://huggingface.co/a/b', 'http://localhost:8080/'] });
    expect(connect).toEqual(['https://huggingface.co', 'http://localhost:8080']);
    const open = await readFile(output, 'utf8');
    expect(policyOf(open)).toContain('connect-src https://huggingface.co http://localhost:8080');
    expect(open).toContain('id="url"');
  });

  test('refuses servers that are none, and says which there can be', async () => {
    const output = join(folder, 'none.html');
    for (const wrong of ["'none'; script-src *", 'http://example.org', 'ftp://x', 'example.org'])
      await expect(page({ output, connect: [wrong] })).rejects.toMatchObject({ code: 'FEATX_USAGE_URL' });
    const { exit, stderr } = await runCli(['page', '-o', output, '--connect', 'example.org']);
    expect([exit, stderr]).toEqual([2, expect.stringContaining("--connect: 'example.org' is not an https:// URL")]);
    expect(await readdir(folder)).not.toContain('none.html');
  });
});
