// npm run check:flips: cuts small models at every byte and flips every bit of them, cuts real graphs at every field
// boundary and flips a bit in every byte of their tags, lengths and numbers. Each mutant must be a located error, or
// mean what the second decoder finds in it. Then the controls, which must be caught.
//   FEATX_ZOO  folder of graphs (default ../shared/zoo; fixtures/zoo and fixtures/timm where it is not there)
//   --small N, --real N  how many models (default 200 and 50); --stride N, --real-stride N  every n-th flip only
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleInto } from './bundled.mjs';
import { installed, root } from './ready.mjs';

const option = (name, standard) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? standard : Number(process.argv[at + 1]);
};

installed();
const home = join(root, 'node_modules', '.cache', 'featx', `flips-${process.pid}`);
mkdirSync(home, { recursive: true });
try {
  await bundleInto(home, ['src/testing/flips.ts', 'src/testing/flip-models.ts']);
  const load = (name) => import(pathToFileURL(join(home, name)).href);
  const { checkBoundaries, checkWhole, CONTROLS, newTally } = await load('flips.mjs');
  const { smallModels } = await load('flip-models.mjs');
  const small = smallModels(option('small', 200));
  const whole = await timed('every byte and every bit of small models', small, (tally, { name, bytes }, offset) =>
    checkWhole(bytes, name, tally, { sampling: { cuts: 1, flips: option('stride', 1), offset } }),
  );
  const real = realGraphs(option('real', 50));
  const boundaries = await timed('field boundaries of real graphs', real, (tally, { name, bytes }, offset) =>
    checkBoundaries(bytes, name, tally, { sampling: { cuts: 1, flips: option('real-stride', 1), offset } }),
  );
  let failed = whole.wrong.length + boundaries.wrong.length;
  for (const [name, reader] of Object.entries(CONTROLS)) {
    const tally = newTally();
    for (const { name: model, bytes } of small.slice(0, 48))
      await checkWhole(bytes, model, tally, { reader, sampling: { cuts: 211, flips: 211, offset: 0 } });
    console.log(`control, ${name}: ${tally.wrong.length} of ${tally.cuts + tally.flips} mutants caught`);
    if (tally.wrong.length === 0) failed++;
  }
  if (failed > 0) process.exitCode = 1;

  async function timed(what, models, check) {
    const tally = newTally();
    const started = performance.now();
    for (const [index, model] of models.entries()) await check(tally, model, index);
    const seconds = (performance.now() - started) / 1000;
    const bytes = models.reduce((sum, each) => sum + each.bytes.length, 0);
    console.log(
      `${what}: ${tally.files} files of ${bytes} bytes, ${tally.cuts} cuts, ${tally.flips} flips: ${tally.refused} refused, ${tally.agreed} read alike, ${tally.unread} with weights that are no list, ${tally.wrong.length} wrong; ${seconds.toFixed(0)} s`,
    );
    for (const wrong of tally.wrong.slice(0, 20)) console.log(`  ${wrong}`);
    return tally;
  }
} finally {
  rmSync(home, { recursive: true, force: true });
}

/** The smallest real graphs there are. */
function realGraphs(count) {
  const zoo = resolve(root, process.env.FEATX_ZOO ?? '../shared/zoo');
  const folders = existsSync(zoo) ? [zoo] : [join(root, 'fixtures', 'zoo'), join(root, 'fixtures', 'timm')];
  const paths = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.onnx'))
      .map((name) => join(folder, name)),
  );
  const smallest = paths.map((path) => ({ path, size: statSync(path).size })).sort((a, b) => a.size - b.size);
  return smallest
    .slice(0, count)
    .map(({ path }) => ({ name: path.split(/[/\\]/).at(-1), bytes: new Uint8Array(readFileSync(path)) }));
}
