import * as fc from 'fast-check';
import { NameTable } from './name-table.js';
import { decodeText, encodeText } from './text.js';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Bytes of any kind, most of them few, so that the same come again. */
const names = fc.oneof(
  fc.uint8Array({ maxLength: 2 }),
  fc.uint8Array({ maxLength: 300 }),
  fc.stringMatching(/^[a-c/.]{0,4}$/).map(bytesOf),
);

const idOf = (table: NameTable, bytes: Uint8Array): number => table.idOf(bytes, 0, bytes.length);

test('the same bytes have the same number, other bytes another, and the number is the text', () => {
  fc.assert(
    fc.property(fc.array(names, { maxLength: 40 }), (list) => {
      const table = new NameTable();
      const numbers = new Map<string, number>();
      for (const bytes of list) {
        const text = decodeText(bytes);
        const id = idOf(table, bytes);
        expect(numbers.get(text) ?? id).toBe(id);
        numbers.set(text, id);
      }
      expect(new Set(numbers.values()).size).toBe(numbers.size);
      for (const [text, id] of numbers) {
        expect(table.text(id)).toBe(text);
        expect(table.find(text)).toBe(id);
        expect(idOf(table, encodeText(text))).toBe(id);
      }
    }),
    { numRuns: 200 },
  );
});

test('the empty name is 0, and a name that nobody met is none', () => {
  const table = new NameTable();
  expect([idOf(table, new Uint8Array(0)), table.find(''), table.text(0)]).toEqual([0, 0, '']);
  expect(['a', 'é', 'x'.repeat(300)].map((text) => table.find(text))).toEqual([-1, -1, -1]);
});

test('a name that is only kept is never the number of another one that is looked for', () => {
  const table = new NameTable();
  const made = idOf(table, bytesOf('x'));
  const kept = ['x', 'é', 'y'.repeat(300), ''].map((text) => table.keep(bytesOf(text), 0, bytesOf(text).length));
  expect(kept.map((id) => table.text(id))).toEqual(['x', 'é', 'y'.repeat(300), '']);
  expect([idOf(table, bytesOf('x')), table.find('x')]).toEqual([made, made]);
  const later = idOf(table, bytesOf('é'));
  expect([table.find('é'), table.text(later)]).toEqual([later, 'é']);
});

test('names are found again in tables of any size', () => {
  const table = new NameTable();
  const texts = Array.from({ length: 20_000 }, (_, at) => `/layers/layers.${at}/Add_output_0`);
  const ids = texts.map((text) => idOf(table, bytesOf(text)));
  expect(new Set(ids).size).toBe(texts.length);
  expect(ids.map((id) => table.text(id))).toEqual(texts);
  expect(texts.map((text) => table.find(text))).toEqual(ids);
  expect(texts.map((text) => idOf(table, bytesOf(text)))).toEqual(ids);
});

test('names that differ in a number alone keep theirs while others come', () => {
  const table = new NameTable();
  for (let at = 0; at < 20_000; at++) {
    const id = idOf(table, bytesOf(`r${at}`));
    expect([idOf(table, bytesOf(`r${at}`)), table.find(`r${at}`)]).toEqual([id, id]);
  }
});

test('says the same where there is no Buffer, as in a browser', () => {
  const { Buffer: own } = globalThis;
  const bytes = bytesOf('layer1/Relu é layer1/Relu');
  try {
    Object.assign(globalThis, { Buffer: undefined });
    const table = new NameTable();
    for (const [start, end] of [
      [0, 11],
      [12, 14],
      [15, 26],
      [0, 26],
    ])
      expect(table.text(table.idOf(bytes, start, end))).toBe(new TextDecoder().decode(bytes.subarray(start, end)));
  } finally {
    Object.assign(globalThis, { Buffer: own });
  }
});

test('names of one hash slot, of the same length, and long names are kept apart', () => {
  const table = new NameTable();
  // 31 * a + b collides for these pairs.
  for (const text of ['Aa', 'BB', 'Aa', 'AaBB', 'BBAa', 'x'.repeat(256), 'x'.repeat(257), 'y'.repeat(257), 'é', 'Ã©']) {
    const bytes = bytesOf(`..${text}..`);
    expect(table.text(table.idOf(bytes, 2, bytes.length - 2))).toBe(text);
  }
});

test('names made to collide are told apart, also when the table has grown since', () => {
  const table = new NameTable();
  // 1,024 names with one hash, and as many others.
  const spelled = Array.from({ length: 1_024 }, (_, bits) =>
    Array.from({ length: 10 }, (_pair, at) => ((bits >> at) & 1 ? 'Aa' : 'BB')).join(''),
  );
  const texts = [...spelled, ...spelled.map((name, at) => `${name}.${at}`)];
  const ids = texts.map((text) => idOf(table, bytesOf(text)));
  expect(new Set(ids).size).toBe(texts.length);
  for (let at = 0; at < 10_000; at++) idOf(table, bytesOf(`more/${at}`));
  expect(texts.map((text) => idOf(table, bytesOf(text)))).toEqual(ids);
  expect(texts.map((text) => table.find(text))).toEqual(ids);
  expect(ids.map((id) => table.text(id))).toEqual(texts);
});
