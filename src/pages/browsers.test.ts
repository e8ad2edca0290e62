import { copyFile, mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { extract } from '../extract.js';
import { page } from '../page.js';
import { report } from '../report-features.js';

/** The pages in Chromium, if it is there; `npm run check:browsers` is longer, and has Firefox too. */

interface Browser {
  close(): Promise<void>;
}
interface Drivers {
  readonly chromium: () => string | null;
  readonly openChromium: (program: string) => Promise<Browser>;
}
interface Checks {
  readonly checkReport: (browser: Browser, page: string) => Promise<{ readonly maps: number }>;
  readonly checkCuts: (browser: Browser, asked: object) => Promise<unknown>;
}

const load = async <T>(name: string): Promise<T> =>
  (await import(pathToFileURL(join(process.cwd(), 'scripts', 'browsers', `${name}.mjs`)).href)) as T;
const { chromium, openChromium } = await load<Drivers>('chromium');
const program = chromium();
const title =
  program === null
    ? 'skipped, because no Chromium was found: pages are quiet, drawn, and save what extract writes'
    : 'in Chromium, pages are quiet, drawn, and save what extract writes';

(program === null ? test.skip : test)(title, async () => {
  const home = await mkdtemp(join(tmpdir(), 'featx-browser-'));
  const at = (name: string): string => join(home, name);
  const { checkCuts, checkReport } = await load<Checks>('checks');
  await copyFile(join('fixtures', 'timm', 'test_resnet.ts.onnx'), at('model.onnx'));
  // Names that would run if a page took them for HTML.
  const outMap = ['<img src=x onerror="hostile=1">', '</script><script>hostile=1</script>'];
  await extract(at('model.onnx'), at('named.onnx'), { out: [0, 1], outMap, isolate: false });
  await report(at('named.onnx'), { inputs: ['fixtures/pictures/chelsea.png'], output: at('report.html') });
  await page({ output: at('featx.html') });
  await extract(at('model.onnx'), at('cut.onnx'), { out: [1, 3], isolate: false });
  await mkdir(at('downloads'));
  const browser = await openChromium(program ?? '');
  try {
    expect(await checkReport(browser, at('report.html'))).toMatchObject({ maps: 2 });
    const expected = [{ indices: [1, 3], path: at('cut.onnx') }];
    await checkCuts(browser, { page: at('featx.html'), model: at('model.onnx'), downloads: at('downloads'), expected });
  } finally {
    await browser.close();
    await rm(home, { recursive: true, force: true });
  }
});
