// npm run check:memory: the peak memory of `featx run` and of its child over 10,000 pictures and over 20,000, which is
// to be the same: what grows is the list of inputs alone. (Below 10,000 the heap of V8 has not yet the size that it
// keeps: its young generation grows to 32 MiB with what outlives a collection, however long a run is.)
// Written as .npz, whose entries are put in their places, and as .parquet, a row an entry.
//   --pictures N   the larger number (default 20000); half of it is the smaller one
//   --format F     npz or parquet alone
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { peaks } from '../bench/lib/processes.mjs';
import { built, root } from './ready.mjs';

const { values: flags } = parseArgs({
  options: { pictures: { type: 'string', default: '20000' }, format: { type: 'string' } },
});
const most = Number(flags.pictures);
const least = most / 2;
/** Bytes a picture that the list of inputs, the provenance of a file and a heap that is not swept may take. */
const BYTES_A_PICTURE = 4096;
const SIDE = 48;
const KINDS = 16;
const FORMATS = flags.format === undefined ? ['npz', 'parquet'] : [flags.format];

built();
const { default: sharp } = await import('sharp');
const folder = mkdtempSync(join(tmpdir(), 'featx-memory-'));
process.on('SIGINT', () => process.exit(130));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const pictures = await Promise.all(Array.from({ length: KINDS }, (_, kind) => picture(kind)));
for (const count of [least, most]) {
  mkdirSync(join(folder, String(count)));
  for (let index = 0; index < count; index++)
    writeFileSync(join(folder, String(count), `${String(index).padStart(6, '0')}.png`), pictures[index % KINDS]);
}

function picture(kind) {
  const pixels = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, at) => (at * (kind + 3) * 31) % 256);
  return sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } })
    .png()
    .toBuffer();
}

const model = join(root, 'fixtures', 'timm', 'test_resnet.ts.onnx');
let isFlat = true;
for (const format of FORMATS) {
  const [few, many] = [least, most].map((count) =>
    peaks([
      join(root, 'bin', 'featx.js'),
      'run',
      model,
      '--out',
      '4',
      '--preprocess',
      'imagenet',
      '--quiet',
      '--input',
      join(folder, String(count)),
      '-o',
      join(folder, `out.${format}`),
    ]),
  );
  for (const [who, key] of [
    ['featx', 'parentKiB'],
    ['its child', 'childKiB'],
  ]) {
    const grown = ((many[key] - few[key]) * 1024) / (most - least);
    const isGood = grown <= BYTES_A_PICTURE;
    isFlat &&= isGood;
    console.log(
      `.${format}, ${who}: ${mib(few[key])} MiB for ${least} pictures, ${mib(many[key])} MiB for ${most}: ${Math.round(grown)} bytes a picture, ${isGood ? 'flat' : `over ${BYTES_A_PICTURE}`}`,
    );
  }
}
process.exitCode = isFlat ? 0 : 1;

function mib(kib) {
  return Math.round(kib / 1024);
}
