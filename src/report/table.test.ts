import { csvLine } from './csv.js';
import { pyramidBars } from './pyramid.js';
import { splitText } from './split-text.js';
import { paint, PLAIN } from './style.js';
import { renderTable, withoutRepetition, type Column } from './table.js';
import { bytesText } from './units.js';
import { countText, plural } from '../wire/counted.js';
import { displayWidth, padEnd, padStart, shorten, wrappedLines } from './width.js';

describe('width', () => {
  test.each([
    ['abc', 3],
    ['größe', 5],
    ['層出力', 6],
    ['e\u0301', 1],
    ['🙂a', 3],
    ['', 0],
  ])('%s takes %d columns', (text, width) => expect(displayWidth(text)).toBe(width));

  test('padding counts columns, not characters', () => {
    expect(padEnd('層', 4)).toBe('層  ');
    expect(padStart('層', 4)).toBe('  層');
    expect(padEnd('long', 2)).toBe('long');
  });

  test.each([
    ['abcdefghij', 7, 'abc…hij'],
    ['abcdefghij', 10, 'abcdefghij'],
    ['abcdefghij', 1, 'a'],
    ['層層層層層', 6, '層…層'],
  ])('%s in %d columns is %s', (text, width, shown) => {
    expect(shorten(text, width)).toBe(shown);
    expect(displayWidth(shown)).toBeLessThanOrEqual(width);
  });

  test('a plain ellipsis where the terminal knows ASCII only', () =>
    expect(shorten('abcdefghij', 7, '...')).toBe('ab...ij'));
});

describe('lines of a terminal', () => {
  const prose = '  hint: name one of /layer1/layer1.0/act2/Relu_output_0, or leave it out';

  test('what is too long goes on, indented further', () => {
    expect(wrappedLines(`short\n${prose}\n`, 30)).toBe(
      'short\n  hint: name one of\n    /layer1/layer1.0/act2/Relu_output_0,\n    or leave it out\n',
    );
    expect(wrappedLines(prose, null)).toBe(prose);
    expect(wrappedLines(prose, prose.length)).toBe(prose);
  });

  test('columns stay padded where they fit, and colour takes no room', () => {
    expect(wrappedLines('  input   x   float32 [a, b]', 21)).toBe('  input   x   float32\n    [a, b]');
    expect(wrappedLines('\x1b[31mfeatx: error:\x1b[39m it is not', 23)).toBe('\x1b[31mfeatx: error:\x1b[39m it is not');
  });
});

describe('renderTable', () => {
  const columns: readonly Column[] = [
    { title: 'n', align: 'right' },
    { title: 'bar', align: 'center', expendable: 1 },
    { title: 'name', least: 6 },
  ];
  const rows = [
    ['1', '###', 'a-rather-long-tensor-name'],
    ['22', '#', '層'],
  ];

  test('aligns columns', () => {
    expect(renderTable(columns, rows, PLAIN)).toBe(' n  bar  name\n 1  ###  a-rather-long-tensor-name\n22   #   層\n');
  });

  test('columns that say nothing go first, and records are apart', () => {
    const titles = ['name', 'module', 'shape'].map((title) => ({ title }));
    const cells = [
      ['first', '-', '[1, 2]'],
      ['second', '-', '[3]'],
    ];
    expect(renderTable(titles, cells, { ...PLAIN, width: 30 })).toBe(
      'name    module  shape\nfirst   -       [1, 2]\nsecond  -       [3]\n',
    );
    expect(renderTable(titles, cells, { ...PLAIN, width: 16 })).toBe('name    shape\nfirst   [1, 2]\nsecond  [3]\n');
    expect(renderTable(titles, cells, { ...PLAIN, width: 13 })).toBe(
      'name    first\nshape   [1…2]\n\nname    se…nd\nshape   [3]\n',
    );
  });

  test('fits any width, first by the middle of long cells, then by expendable columns', () => {
    expect(renderTable(columns, rows, { ...PLAIN, width: 20 })).toBe(
      ' n  bar  name\n 1  ###  a-rat…-name\n22   #   層\n',
    );
    expect(renderTable(columns, rows, { ...PLAIN, width: 12 })).toBe(' n  name\n 1  a-r…name\n22  層\nnot s…h: bar\n');
    for (let width = 10; width < 60; width++) {
      for (const line of renderTable(columns, rows, { ...PLAIN, width }).split('\n'))
        expect(displayWidth(line)).toBeLessThanOrEqual(width);
    }
  });

  const wide: readonly Column[] = [
    { title: 'i' },
    { title: 'module', least: 4, isFirm: true },
    { title: '', expendable: 3 },
    { title: 'layout', expendable: 2 },
    { title: 'tensor', least: 6, expendable: 1 },
  ];
  const features = [
    ['0', 'encoder.layer.10.output', '###', 'NCHW', '/encoder/layer.10/output/Add_output_0'],
    ['1', 'encoder.layer.11.output', '#', 'NCHW', '/encoder/layer.11/output/Add_output_0'],
  ];

  test('gives up what tells least before names and shapes are cut, and takes back what has room again', () => {
    const at = (width: number): string => renderTable(wide, features, { ...PLAIN, width }).split('\n')[0];
    expect(at(120)).toBe('i  module                        layout  tensor');
    // Cut further, the two tensors would look alike.
    expect(at(60)).toBe('i  module                        layout');
    expect(at(27)).toBe('i  module');
  });

  test('never cuts two names to the same, and never makes a line too long', () => {
    for (let width = 4; width < 100; width++) {
      const lines = renderTable(wide, features, { ...PLAIN, width })
        .trimEnd()
        .split('\n');
      const table = lines.filter((line) => !line.startsWith('not shown'));
      for (const line of table) expect(displayWidth(line)).toBeLessThanOrEqual(Math.max(width, 9));
      const [first, second] = table.slice(1).map((line) => line.slice(1));
      if (table.length === 3) expect(first).not.toBe(second);
    }
  });

  test('a tree stays a tree in any width: counts go first, names deep in it are cut last', () => {
    const columns: readonly Column[] = [
      { title: 'module', least: 12, isTree: true, isFirm: true },
      { title: 'calls', expendable: 2 },
      { title: 'shape', least: 6, isFirm: true },
      { title: 'outputs', least: 20, expendable: 1 },
    ];
    const cells = ['a', 'b'].flatMap((name) => [
      [name, '1', '[1, 64, 32]', `/model.${name}/cv2/act/Mul_output_0`],
      ['    a-name-that-is-long', '1', '[1, 64, 32]', `/model.${name}/cv2/conv/Conv_output_0`],
    ]);
    const heading = (width: number): string | undefined =>
      renderTable(columns, cells, { ...PLAIN, width })
        .split('\n')[0]
        ?.replace(/ +/g, ' ');
    expect([80, 62, 44, 20, 6].map(heading)).toEqual([
      'module calls shape outputs',
      'module shape outputs',
      'module calls shape',
      'module shape',
      'module',
    ]);
    for (let width = 6; width < 80; width++) {
      const lines = renderTable(columns, cells, { ...PLAIN, width })
        .split('\n')
        .slice(1, 5);
      const indent = Math.min(4, Math.max(0, width - 8));
      expect(lines.map((line) => /^ */.exec(line)?.[0].length)).toEqual([0, indent, 0, indent]);
      for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(width);
    }
  });

  test('a key is the last thing that is cut', () => {
    const columns: readonly Column[] = [
      { title: 'output', least: 8, isKey: true },
      { title: 'module', least: 8, isFirm: true },
      { title: 'tensor', least: 8, expendable: 1 },
    ];
    const cells = ['0', '1'].map((at) => [
      `attention.${at}`,
      `layers.${at}.attention.self`,
      `/layers.${at}/attention/Softmax`,
    ]);
    for (let width = 32; width < 80; width++)
      expect(renderTable(columns, cells, { ...PLAIN, width }).split('\n')[1]).toMatch(/^attention\.0 /);
  });

  test('a firm column is cut before it goes, and goes before a table becomes records', () => {
    const columns: readonly Column[] = [
      { title: 'output', least: 8, isKey: true },
      { title: 'module', least: 8, isFirm: true, expendable: 1 },
    ];
    const heading = (width: number, cells: readonly (readonly string[])[]): string | undefined =>
      renderTable(columns, cells, { ...PLAIN, width }).split('\n')[1];
    expect(heading(24, [['attention.0', 'encoder.attention']])).toBe('attention.0  encod…ntion');
    // Cut, the two modules would look alike.
    const alike = ['0', '1'].map((at) => [`attention.${at}`, `encoder.layer.${at}.attention.self`]);
    expect(heading(24, alike)).toBe('attention.0');
  });

  test('a column that repeats another goes where there is no room for both', () => {
    const columns = [{ title: 'output' }, { title: 'tensor' }];
    const same = [['/a/Mul_output_0', '/a/Mul_output_0']];
    const shown = (width: number | null, cells = same): number =>
      withoutRepetition(columns, cells, { ...PLAIN, width }).length;
    expect([shown(null), shown(40), shown(30), shown(30, [['y', '/a-name-that-is-longer/than-30']])]).toEqual([
      2, 2, 1, 2,
    ]);
  });

  test('colour changes nothing but colour', () => {
    const colored = renderTable(columns, rows, { ...PLAIN, color: true });
    expect(colored).toContain('\x1b[1m');
    expect(colored.replace(/\x1b\[\d+m/g, '').replace(/ +$/gm, '')).toBe(renderTable(columns, rows, PLAIN));
  });
});

test('paint is the text itself without colour', () => {
  expect(paint(PLAIN, 'red', 'x')).toBe('x');
  expect(paint({ ...PLAIN, color: true }, 'red', 'x')).toBe('\x1b[31mx\x1b[39m');
});

describe('pyramidBars', () => {
  const lengths = (reductions: readonly (number | null)[]): readonly number[] =>
    pyramidBars(reductions, { unicode: false }).map((bar) => bar.length);

  test('a bar gets shorter as the stride grows', () => {
    expect(lengths([2, 4, 8, 16, 32])).toEqual([9, 7, 5, 3, 1]);
    expect(lengths([4, 8, 16, 32])).toEqual([7, 5, 3, 1]);
  });

  test('equal strides get equal bars, unknown ones none', () => {
    expect(lengths([16, 16, 16])).toEqual([1, 1, 1]);
    expect(lengths([2, null, 4])).toEqual([3, 0, 1]);
    expect(lengths([null])).toEqual([0]);
    expect(lengths([])).toEqual([]);
  });

  test('a deep pyramid stays narrow', () =>
    expect(Math.max(...lengths([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]))).toBeLessThanOrEqual(13));
});

describe('csvLine', () => {
  test('quotes what needs it', () =>
    expect(csvLine(['a', 'b,c', 'say "hi"', ' pad', 3, -1, null])).toBe('a,"b,c","say ""hi"""," pad",3,-1,\r\n'));

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', ' =1', '\uff1d1'])('%s is no formula', (text) => {
    expect(csvLine([text]).replace(/^"/, '').startsWith("'")).toBe(true);
  });

  test('control characters are made visible', () => expect(csvLine(['a\r\nb\x1b'])).toBe('a\\r\\nb\\x1b\r\n'));
});

test('units', () => {
  expect([0, 999, 1000, 1882534, 9_960_000, 2 ** 30].map(bytesText)).toEqual([
    '0 B',
    '999 B',
    '1.0 KB',
    '1.9 MB',
    '10 MB',
    '1.1 GB',
  ]);
  expect([0, 999, 1000, 1234567].map(countText)).toEqual(['0', '999', '1,000', '1,234,567']);
  expect([plural(1, 'node'), plural(0, 'node'), plural(2, 'node')]).toEqual(['1 node', '0 nodes', '2 nodes']);
});

test('one long cell does not pad the others where nothing bounds a line', () => {
  const rows = [
    ['short', '1'],
    ['x'.repeat(60_000), '2'],
  ];
  const lines = renderTable([{ title: 'name' }, { title: 'n' }], rows, PLAIN).split('\n');
  expect(lines.map(({ length }) => length)).toEqual([203, 203, 60_003, 0]);
  expect(lines[2]).toBe(`${'x'.repeat(60_000)}  2`);
});

test('names of inputs that do not fit beside each other are counted', () => {
  const part = { file: 'm.1.onnx', sha256: null, outputs: [], nodes: 1, weights_bytes: 0, size_bytes: 0 };
  const names = ['/backbone/first_block/Add_output_0', '/backbone/second_block/Add_output_0'];
  const report = {
    command: 'split',
    schema: 1,
    input: 'm.onnx',
    manifest: 'm.split.json',
    outputs: ['y'],
    parts: [{ ...part, inputs: names.map((name) => ({ name, from: 'model' as const })) }],
    cuts: [],
    shared_weights: { count: 0, bytes: 0 },
    weights: 'keep',
    imbalance: null,
    verified: null,
    warnings: [],
    elapsed_ms: 0,
  } as const;
  expect(splitText(report, false, PLAIN)).toContain(names.join(', '));
  expect(splitText(report, false, { ...PLAIN, width: 60 })).toContain('2 tensors');
});
