import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { inFlags, inWordsOf } from './reworded.js';
import { ANY, call, named, option } from './words.js';

test.each([
  [option('outMap'), '`outMap`', '--out-map'],
  [option('outMap', ['p2', 'p3']), '`outMap: ["p2","p3"]`', '--out-map p2,p3'],
  [option('out', 'tower.0:0-3'), "`out: 'tower.0:0-3'`", '--out tower.0:0-3'],
  [option('mode', 'list'), "`mode: 'list'`", '--mode list'],
  [option('rewrite', false), '`rewrite: false`', '--no-rewrite'],
  [option('rewrite', true), '`rewrite: true`', '--rewrite'],
  [option('noClobber', true), '`noClobber: true`', '--no-clobber'],
  [option('prepacking', false), '`prepacking: false`', '--no-prepacking'],
  [option('limits.indexBytes', ANY), '`limits.indexBytes: …`', '--max-index BYTES'],
  [option('timeoutMs', 2_000), '`timeoutMs: 2000`', '--timeout 2'],
  [option('inputs', ['a.png', 'x=b.npy']), '`inputs: ["a.png","x=b.npy"]`', '--input a.png --input x=b.npy'],
  [option('inputShapes', { x: [1, 3] }), '`inputShapes: {"x":[1,3]}`', '--input-shape x:1,3'],
  [option('inputShapes', { '': [1, 3] }), '`inputShapes: {"":[1,3]}`', '--input-shape 1,3'],
  [option('map', { TENSOR: 'OUTPUT' }), '`map: {"TENSOR":"OUTPUT"}`', '--map TENSOR=OUTPUT'],
  [option('tensor'), "`select: [{ by: 'tensor', name }]`", '--tensor'],
  [option('module', 'layer*'), "`select: [{ by: 'module', name: 'layer*' }]`", "--module 'layer*'"],
  [option('tensorLimits.arrays', ANY), '`tensorLimits.arrays: …`', 'tensorLimits.arrays'],
  [call('inspect', 'listTensors'), '`inspect(model, { listTensors: true })`', '`featx inspect MODEL --tensors`'],
  [call('inspect'), '`inspect(model)`', '`featx inspect MODEL`'],
])('%s is %s to a program and %s on the command line', (said, words, flags) => {
  expect(said).toBe(words);
  expect(inFlags(`a ${said} b ${said}`, 'extract')).toBe(`a ${flags} b ${flags}`);
});

test.each([
  [option('out'), 'net', '`outIndices`'],
  [option('last', 2), 'hookNet', '`outIndices: 2`'],
  [option('hookType'), 'hookNet', '`defaultHookType`'],
  [option('out'), 'run', '`out`'],
  [option('outMap', ['out']), 'net', '`outMap: ["out"]`'],
  [option('tensor'), 'net', option('tensor')],
  ["a tensor 'out' and `no such`", 'net', "a tensor 'out' and `no such`"],
] as const)('%s of %s is %s', (said, set, expected) => expect(inWordsOf(said, set)).toBe(expected));

test('an option that commands call by different flags is called by that of the command', () => {
  const said = option('memoryBytes', ANY);
  expect([inFlags(said, 'extract'), inFlags(said, 'batch'), inFlags(said, null)]).toEqual([
    '--max-memory BYTES',
    '--memory BYTES',
    '--max-memory BYTES',
  ]);
});

test.each(['`', '``', '`x`', "no option 'out'", '`no such`', '`constructor`', '`mode: {`', '`out map`', "`'mode'`"])(
  'what names no option stays as it is: %s',
  (text) => expect(inFlags(text, 'extract')).toBe(text),
);

test('a name with backticks cannot end the words that hold it', () => {
  const said = option('inputShapes', { 'a`b`: x': [2] });
  expect(said.split('`')).toHaveLength(3);
  expect(inFlags(said, 'run')).toBe("--input-shape 'a`b`: x:2'");
});

test.each(['`debug`', '`out: [1]`', 'a `debug` b', "it's `debug`", "`mode: 'list'`", '`', "'"])(
  'a name that looks like an option comes back as it is where a message quotes it: %s',
  (name) => {
    const said = (options: string): string => `the model's tensor '${name}' is not there: leave out ${options}`;
    expect(inFlags(said(option('out')), 'extract')).toBe(said('--out'));
    expect(inWordsOf(said(option('out')), 'net')).toBe(said('`outIndices`'));
  },
);

test('a name that a message does not quote is quoted if it looks like an option', () => {
  expect(['x', '`out: [1]`'].map(named)).toEqual(['x', "'`out: [1]`'"]);
  expect(inFlags(`nearest: ${named('`out: [1]`')}, x`, 'run')).toBe("nearest: '`out: [1]`', x");
});

test('a text that is nothing but quotes takes no time to speak of', () => {
  const text = " 'a".repeat(30_000);
  expect(inFlags(text, 'run')).toBe(text);
});

/** Texts for people may name flags where only the command line speaks; pages have variables of style sheets. */
const ROOMS_OF_THE_COMMAND_LINE = ['cli', 'testing', 'options', 'pages'];

test('no message that a caller of the library can see names a flag', () => {
  const root = join(process.cwd(), 'src');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (path) => /(?<!\.test)\.ts$/.test(path) && !ROOMS_OF_THE_COMMAND_LINE.includes(path.split(sep)[0]),
  );
  expect(files.length).toBeGreaterThan(150);
  const named = files.flatMap((path) => {
    const code = readFileSync(join(root, path), 'utf8')
      .replace(/\/\*[^]*?\*\//g, '')
      .replace(/^\s*\/\/.*$/gm, '');
    const flags = [...code.matchAll(/(?<![\w)\]-])(--[a-z][\w-]*)(?!\w*(\[| [<>=]))|[ (`]-o[ ,`'"]/g)];
    return flags.map(([flag]) => `${path}: ${flag}`);
  });
  expect(named).toEqual([]);
});
