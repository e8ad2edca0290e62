import { posix, win32 } from 'node:path';
import * as fc from 'fast-check';
import { tensorAt } from '../testing/external-positions.js';
import { HOSTILE, HOSTILE_LOCATIONS, IN_DIRECTORY } from '../testing/hostile-locations.js';
import { encodeModel } from '../testing/model-builder.js';
import type { Entries, ModelSpec } from '../testing/model-spec.js';
import { BufferSource } from '../wire/source.js';
import {
  containedLocations,
  externalReference,
  isContained,
  openContained,
  openExternal,
  type SidecarFiles,
} from './external-data.js';
import { indexModel } from './model.js';
import type { Tensor } from './records.js';

const SIZE = 2048;

describe('locations', () => {
  test.each(
    Object.entries(HOSTILE).flatMap(([reason, locations]) => locations.map((location) => [location, reason.trim()])),
  )('%j %s', async (location, reason) => {
    await using model = await indexModel(encodeModel({ graph: { initializers: [tensorAt(location)] } }));
    expect(() => externalReference(model.graph.initializers[0])).toThrow(
      expect.objectContaining({
        name: 'PolicyError',
        code: 'FEATX_EXTERNAL_LOCATION',
        field: 'graph.initializer[0]',
        hint: 'external data must lie in the directory of the model; do not trust this file unless you know why it points elsewhere',
        message: expect.stringMatching(
          new RegExp(
            `^external data of graph\\.initializer\\[0\\] 'w' is refused: the location '[^]*' ${reason.replace('$', '\\$')}( '.*')?$`,
          ),
        ),
      }),
    );
    expect(isContained(location)).toBe(false);
  });

  test.each(IN_DIRECTORY)('%j stays inside', (location) => {
    expect(isContained(location)).toBe(true);
  });

  test('a name that is not UTF-8 is refused', async () => {
    const spec = {
      graph: { initializers: [{ name: 'w', dims: [1], external: [['location', Uint8Array.of(0x77, 0xff)]] }] },
    } satisfies ModelSpec;
    await using model = await indexModel(encodeModel(spec));
    expect(() => externalReference(model.graph.initializers[0])).toThrow('is not UTF-8');
  });

  test('what is refused is no place that a model names', async () => {
    const tensors = ['w.bin', '../secret.bin', 'w.bin', 'sub/inner.bin', 'C:w.bin'].map(tensorAt);
    await using model = await indexModel(
      encodeModel({
        graph: {
          initializers: [
            ...tensors,
            { name: 'b', dims: [1], data: [1] },
            { name: 'c', dims: [1], external: [['checksum', 'x.bin']] },
          ],
        },
      }),
    );
    expect([...containedLocations(model)]).toEqual(['w.bin', 'sub/inner.bin']);
  });
});

/** Where an operating system takes a location, seen from a directory. */
const SYSTEMS = [
  { path: posix, base: '/models/m' },
  { path: win32, base: 'C:\\models\\m' },
  { path: win32, base: '\\\\server\\share\\m' },
] as const;

function staysInside(location: string): boolean {
  return SYSTEMS.every(({ path, base }) => path.resolve(base, location).startsWith(base + path.sep));
}

describe('on every system', () => {
  const piece = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom('..', '.', '/', '\\', 'sub', 'w.bin', '') },
    fc.constantFrom(
      '...',
      'C:',
      'c:',
      '~',
      'con',
      'NUL.txt',
      'COM1',
      'a:b',
      'w. ',
      '//',
      '\\\\',
      '?',
      '\\\\?\\',
      'file:',
      '\0',
      '..\\',
      '../',
      ' ',
      'é',
      'UNC',
      '.w',
    ),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  const location = fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join(''));

  test('what the gate lets through lies inside by the rules of posix and of Windows', () => {
    let accepted = 0;
    fc.assert(
      fc.property(location, (text) => {
        if (!isContained(text)) return;
        accepted++;
        expect(staysInside(text)).toBe(true);
        for (const part of text.split(/[\\/]/)) expect(/[:\0]|[. ]$/.test(part) && !/^\.{0,2}$/.test(part)).toBe(false);
      }),
      { numRuns: 5000 },
    );
    expect(accepted).toBeGreaterThan(300);
  });

  test('what posix or Windows resolve elsewhere is refused', () => {
    let escaping = 0;
    fc.assert(
      fc.property(location, (text) => {
        if (staysInside(text)) return;
        escaping++;
        expect(isContained(text)).toBe(false);
      }),
      { numRuns: 5000 },
    );
    expect(escaping).toBeGreaterThan(300);
  });

  test('plain names are let through', () => {
    const name = fc
      .stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_ .-]{0,20}[A-Za-z0-9_-]$/)
      .filter((text) => !/^(con|prn|aux|nul|com\d|lpt\d)\b/i.test(text));
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), fc.constantFrom('/', '\\'), (names, separator) =>
        expect(isContained(names.join(separator))).toBe(true),
      ),
    );
    for (const text of [
      'console',
      'content.bin',
      'auxiliary/w',
      'com10',
      'lpt',
      'null.bin',
      'xcon',
      'w con',
      '.hidden',
      '..w',
      'a..b',
      'C',
      'tilde~1',
      '%2e%2e/w',
      'com\u2074',
      'con_.bin',
      'http/w',
      '_ORT_MEM/w',
    ])
      expect({ text, contained: isContained(text) }).toEqual({ text, contained: true });
  });

  test('a check of the prefix alone lets others through', () => {
    const careless = (text: string): boolean => posix.join('/models/m', text).startsWith('/models/m');
    const escaped = HOSTILE_LOCATIONS.filter((text) => careless(text) && !staysInside(text));
    expect(escaped).toEqual(
      expect.arrayContaining(['..\\secret.bin', 'C:\\w.bin', 'c:..\\w.bin', '\\\\server\\share\\w.bin']),
    );
    expect(careless('../m-secret/w.bin') && !isContained('../m-secret/w.bin')).toBe(true);
  });
});

describe('entries', () => {
  const reference = async (
    external: Entries,
    warn?: (message: string) => void,
  ): Promise<ReturnType<typeof externalReference>> => {
    await using model = await indexModel(
      encodeModel({ graph: { initializers: [{ name: 'w', dims: [1], external }] } }),
    );
    return externalReference(model.graph.initializers[0], warn);
  };
  const location: Entries[number] = ['location', 'w.bin'];

  test('offset and length are optional', async () => {
    const warnings: string[] = [];
    expect(await reference([location])).toEqual({ location: 'w.bin', offset: 0, length: null });
    expect(
      await reference(
        [['length', '8'], location, ['offset', '4096'], ['checksum', 'abc'], ['basepath', '/etc']],
        (message) => warnings.push(message),
      ),
    ).toEqual({ location: 'w.bin', offset: 4096, length: 8 });
    expect(await reference([location, ['offset', '0009007199254740991'], ['length', '9007199254740991']])).toEqual({
      location: 'w.bin',
      offset: Number.MAX_SAFE_INTEGER,
      length: Number.MAX_SAFE_INTEGER,
    });
    expect(warnings).toEqual([]);
  });

  test.each([
    '-1',
    '0x10',
    ' 16',
    '16 ',
    '16zz',
    '1.5',
    '1e3',
    '',
    '+1',
    '9007199254740992',
    '9223372036854775807',
    '99999999999999999999',
    '00000000000000000001',
    '\u0661',
  ])('%j is no byte count', async (text) => {
    for (const key of ['offset', 'length']) {
      await expect(reference([location, [key, text]])).rejects.toMatchObject({
        name: 'PolicyError',
        code: 'FEATX_EXTERNAL_RANGE',
        field: 'graph.initializer[0]',
        message: `external data of graph.initializer[0] 'w' is refused: its ${key} '${text}' is not a byte count`,
      });
    }
  });

  const refusal = (what: string): string => `external data of graph.initializer[0] 'w' is refused: ${what}`;

  test.each<[string, Entries, string]>([
    ['two locations', [location, ['location', 'other.bin']], "the key 'location' stands twice"],
    ['the same location twice', [location, location], "the key 'location' stands twice"],
    ['two offsets', [location, ['offset', '0'], ['offset', '8']], "the key 'offset' stands twice"],
    ['two of an unknown key', [['__proto__', 'a'], location, ['__proto__', 'b']], "the key '__proto__' stands twice"],
    [
      'a value of 4,097 characters',
      [location, ['__proto__', 'x'.repeat(4097)]],
      "the value of '__proto__' is longer than 4096 characters",
    ],
    [
      'a location of 4,097 characters',
      [['location', 'x'.repeat(4097)]],
      "the value of 'location' is longer than 4096 characters",
    ],
  ])('%s are refused', async (_what, external, what) => {
    await expect(reference(external)).rejects.toMatchObject({
      name: 'PolicyError',
      code: 'FEATX_EXTERNAL_KEY',
      field: 'graph.initializer[0]',
      message: refusal(what),
    });
  });

  test('a value of 4,096 characters is let through', async () => {
    expect((await reference([['location', 'x'.repeat(4096)]])).location).toHaveLength(4096);
  });

  test('without a location there is nothing to open', async () => {
    for (const external of [[['offset', '0']], [['__proto__', 'w.bin']], [['Location', 'w.bin']]] satisfies Entries[]) {
      await expect(reference(external)).rejects.toMatchObject({
        name: 'PolicyError',
        code: 'FEATX_EXTERNAL_LOCATION',
        message: refusal('it names no location'),
      });
    }
    const bare = { external: null, name: '', place: 'graph.initializer[7]' } as unknown as Tensor;
    expect(() => externalReference(bare)).toThrow(
      'external data of graph.initializer[7] is refused: it names no location',
    );
  });

  test('an unknown key is ignored and said', async () => {
    const warnings: string[] = [];
    expect(
      await reference([location, ['__proto__', '1'], ['constructor', '2']], (message) => warnings.push(message)),
    ).toEqual({ location: 'w.bin', offset: 0, length: null });
    expect(warnings).toEqual([
      "graph.initializer[0]: the unknown external data key '__proto__' is ignored",
      "graph.initializer[0]: the unknown external data key 'constructor' is ignored",
    ]);
    expect((await reference([location, ['__proto__', '1']])).location).toBe('w.bin');
  });
});

describe('ranges', () => {
  const opened = async (
    dims: readonly number[],
    place: { readonly [key: string]: string },
    type: 'float32' | 'string' = 'float32',
  ): ReturnType<typeof openExternal> => {
    const source = new BufferSource(new Uint8Array(SIZE), '/models/w.bin');
    await using model = await indexModel(
      encodeModel({
        graph: {
          initializers: [{ name: 'w', type, dims, external: [['location', 'w.bin'], ...Object.entries(place)] }],
        },
      }),
    );
    return openExternal(model.graph.initializers[0], { open: async () => source, close: async () => undefined });
  };

  test.each([
    ['the whole file', SIZE / 4, {}, [0, SIZE]],
    ['all of it by its length', SIZE / 4, { offset: '0', length: '2048' }, [0, SIZE]],
    ['the end', SIZE / 8, { offset: '1024' }, [1024, SIZE]],
    ['a part', 1, { offset: '1000', length: '4' }, [1000, 1004]],
    ['nothing, behind the last byte', 0, { offset: '2048', length: '0' }, [SIZE, SIZE]],
    ['as much as its dims take of a longer file', 1, { offset: '1024' }, [1024, 1028]],
    ['nothing, to the end', 0, { offset: '2048' }, [SIZE, SIZE]],
  ])('%s', async (_what, elements, place, [start, end]) => {
    const { source, range } = await opened([elements], place);
    expect({ path: source.path, range }).toEqual({ path: '/models/w.bin', range: { start, end } });
  });

  test('as many bytes as there are if the dims do not say how many it takes', async () => {
    expect((await opened([3], { offset: '8' }, 'string')).range).toEqual({ start: 8, end: SIZE });
  });

  test.each([
    [
      'an offset beyond the file',
      SIZE / 4,
      { offset: '4096' },
      "it asks for bytes 4096 to 6144 of 'w.bin', which has 2048",
    ],
    [
      'an offset beyond the file, of nothing',
      0,
      { offset: '2049', length: '0' },
      "it asks for bytes 2049 to 2049 of 'w.bin', which has 2048",
    ],
    [
      'a length beyond the file',
      SIZE / 4,
      { offset: '1024', length: '2048' },
      "it asks for bytes 1024 to 3072 of 'w.bin', which has 2048",
    ],
    [
      'one byte beyond the file',
      SIZE / 4,
      { offset: '1', length: '2048' },
      "it asks for bytes 1 to 2049 of 'w.bin', which has 2048",
    ],
    [
      'another length than its dims take',
      SIZE / 4,
      { length: '1024' },
      "bytes 0 to 1024 of 'w.bin' are 1024 bytes, but its dims [2, 256] take 2048",
    ],
    [
      'the rest of a file that is too short',
      SIZE / 4,
      { offset: '1024' },
      "it asks for bytes 1024 to 3072 of 'w.bin', which has 2048",
    ],
    ['the largest numbers', SIZE / 4, { offset: '9007199254740991', length: '9007199254740991' }, 'which has 2048'],
  ])('%s does not fit', async (_what, elements, place, message) => {
    await expect(opened(elements === SIZE / 4 ? [2, elements / 2] : [elements], place)).rejects.toMatchObject({
      name: 'ModelFormatError',
      code: 'FEATX_GRAPH_DATA',
      field: 'graph.initializer[0]',
      path: '/models/w.bin',
      message: expect.stringMatching(/^external data of graph\.initializer\[0\] 'w' does not fit: /),
    });
    await expect(opened(elements === SIZE / 4 ? [2, elements / 2] : [elements], place)).rejects.toThrow(message);
  });
});

test('a place is opened for whom it is said to be, and a refused one is not', async () => {
  const asked: (readonly [string, string])[] = [];
  const files: SidecarFiles = {
    open: async (location, field) => (asked.push([location, field]), new BufferSource(new Uint8Array(1))),
    close: async () => undefined,
  };
  expect((await openContained('w.bin', 'the original', 'metadata_props[a]', files)).size).toBe(1);
  await expect(openContained('../w.bin', 'the original', 'metadata_props[a]', files)).rejects.toMatchObject({
    message: "the original is refused: the location '../w.bin' leaves the directory of the model",
    field: 'metadata_props[a]',
  });
  expect(asked).toEqual([['w.bin', 'metadata_props[a]']]);
});
