import * as fc from 'fast-check';
import { NameTable } from './name-table.js';
import { Spelling } from './spelling.js';
import { decodeText, encodeText } from './text.js';

const names = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ maxLength: 40 }).map(encodeText));

test('a name of a table is spelled as it was, from one to the next', () => {
  fc.assert(
    fc.property(fc.array(names, { maxLength: 30 }), (list) => {
      const table = new NameTable();
      const ids = list.map((bytes) => table.idOf(bytes, 0, bytes.length));
      const spelling = new Spelling();
      for (const [at, id] of ids.entries()) {
        table.spell(id, spelling);
        const { bytes, start, end } = spelling;
        expect([...bytes.subarray(start, end)]).toEqual([...list[at]]);
        expect(spelling.text()).toBe(decodeText(list[at]));
      }
    }),
  );
});

test('a part of a name is its bytes, ASCII or not, in a part of a buffer or not', () => {
  const spelling = new Spelling();
  spelling.write('/läger/Conv');
  expect([spelling.start, spelling.end, spelling.text(1, 7), spelling.text(8)]).toEqual([0, 12, 'läger', 'Conv']);
  const bytes = encodeText('..../layer/Conv').subarray(4);
  spelling.turn(bytes, 1, bytes.length);
  expect([spelling.text(), spelling.text(1, 6)]).toEqual(['layer/Conv', 'layer']);
  spelling.write('');
  expect([spelling.start, spelling.end, spelling.text()]).toEqual([0, 0, '']);
});
