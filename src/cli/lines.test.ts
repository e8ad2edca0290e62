import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { displayWidth } from '../report/width.js';
import { smallModel } from '../testing/batch.js';
import { runCli } from '../testing/cli.js';

/** What is said on a terminal is said in its width; what goes into a pipe or a file is a line a fact. */

let root: string;
let path: (name: string) => string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'featx-lines-'));
  path = (name) => join(root, name);
  cpSync('fixtures/pictures', root, { recursive: true });
  cpSync('fixtures/zoo', root, { recursive: true });
  writeFileSync(path('small.onnx'), smallModel(1));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const COLUMNS = 80;
const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '');

test.each<readonly [string, () => readonly string[]]>([
  ['pictures', () => ['run', path('squeezenet1.1_fp16.onnx'), '--last', '1', '--input', path('chelsea.png')]],
  [
    'an error and its hint',
    () => ['extract', path('small.onnx'), '--tensor', 'no/such/tensor/anywhere/in/this/model', '-o', path('a.onnx')],
  ],
  ['no features', () => ['inspect', path('none_mlp.onnx')]],
  ['many modules', () => ['inspect', path('levit_128s.dy.onnx'), '--modules']],
  ['two networks', () => ['diff', path('none_mlp.onnx'), path('none_lstm_tagger.onnx')]],
  [
    'a batch',
    () => [
      'batch',
      path('small.onnx'),
      '--plan',
      '-o',
      path('{name}.of.a.name.that.is.rather.long.for.a.line.onnx'),
      '--state',
      path('state'),
    ],
  ],
])('%s: no line is longer than the terminal, and none is broken elsewhere', async (_case, argv) => {
  const piped = await runCli(argv());
  const shown = await runCli(argv(), { isTerminal: true, columns: COLUMNS, env: { NO_COLOR: '1' } });
  expect(shown.exit).toBe(piped.exit);
  const texts = [shown.stdout, shown.stderr.replace(/\r[^\r]*\r\x1b\[K/g, '')];
  for (const line of texts.join('').split('\n'))
    if (words(line).length > 1) expect([line, displayWidth(line) <= COLUMNS]).toEqual([line, true]);
  const prose = words(piped.stderr);
  if (prose.length > 0) expect(words(texts[1])).toEqual(prose);
  // A line of a pipe that goes on in the next one would be indented by four.
  for (const line of piped.stderr.split('\n').filter((text) => text !== '')) expect(line).toMatch(/^( {2}hint: )?\S/);
});
