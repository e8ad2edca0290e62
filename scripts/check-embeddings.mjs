// npm run check:embeddings: texts through `featx run` and a network with the sizes of all-MiniLM-L6-v2, as
// sentence-transformers saves it, against what sentence-transformers makes of them; no value may be further off than
// 1e-5. Weights and the WordPiece vocabulary are made from a seed: nothing is downloaded.
//   --python PATH   a Python with torch, transformers, tokenizers, sentence-transformers and onnx (default: python3)
//   --folder PATH   keeps models and vectors there, and takes those that are there
//   --record        writes the table to bench/results/embeddings.md
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { markdown, save } from '../bench/lib/table.mjs';
import { built, root } from './ready.mjs';
import { madeOnce } from './reference.mjs';

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    folder: { type: 'string' },
    record: { type: 'boolean', default: false },
  },
});
const MOST = 1e-5;

built();
const folder = flags.folder ?? mkdtempSync(join(tmpdir(), 'featx-embeddings-'));
try {
  const made = madeOnce(flags.python, join(root, 'scripts', 'embeddings', 'reference.py'), folder);
  const json = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const texts = json('texts.json');
  writeFileSync(join(folder, 'texts.jsonl'), texts.map((text) => `${JSON.stringify({ text })}\n`).join(''));
  const rows = Object.entries(json('vectors.json')).map(([pooling, vectors]) => {
    const made = embedded(join(folder, pooling, 'onnx', 'model.onnx'), join(folder, 'texts.jsonl'));
    const furthest = Math.max(
      ...vectors.map((vector, at) => Math.max(...vector.map((x, i) => Math.abs(x - made[at][i])))),
    );
    const largest = Math.max(...vectors.flat().map(Math.abs));
    return { pooling, texts: made.length, furthest, largest, isGood: furthest <= MOST && made.length === texts.length };
  });
  const table = markdown(
    ['pooling of the model', 'texts', 'largest value', 'furthest from it', ''],
    rows.map(({ pooling, texts: count, largest, furthest, isGood }) => [
      pooling,
      String(count),
      largest.toFixed(3),
      furthest.toExponential(1),
      isGood ? 'good' : `OVER ${MOST}`,
    ]),
  );
  console.log(table);
  const versions = Object.entries(made).map(([name, version]) => `${name} ${version}`);
  if (flags.record)
    save(
      join(root, 'bench', 'results', 'embeddings.md'),
      `# Embeddings of texts\n\nWritten by \`npm run check:embeddings -- --record\`: ${texts.length} texts of 1 to 400 words through a BERT with the sizes of all-MiniLM-L6-v2 (6 layers, 384 channels, seeded weights, a WordPiece vocabulary of its own), \`featx run\` against \`SentenceTransformer.encode\` (${versions.join(', ')}).\n\n${table}\n`,
    );
  process.exitCode = rows.every(({ isGood }) => isGood) ? 0 : 1;
} finally {
  if (flags.folder === undefined) rmSync(folder, { recursive: true, force: true });
}

/** The vector of each text. */
function embedded(model, file) {
  const args = ['run', model, '--text', `${file}:text`, '-o', '-', '--format', 'jsonl', '--quiet'];
  const printed = execFileSync(process.execPath, [join(root, 'bin', 'featx.js'), ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  return printed
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).embedding);
}
