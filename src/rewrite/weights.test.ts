import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import * as fc from 'fast-check';
import type { SidecarFiles } from '../onnx/external-data.js';
import { tensorsOf } from '../onnx/graph.js';
import type { OnnxModel, Tensor } from '../onnx/records.js';
import { openModel } from '../open.js';
import { cutTensors, on, runBoth } from '../testing/cutting.js';
import { tapOf, type Bench } from '../testing/equivalence.js';
import {
  node,
  tensor,
  value,
  weights,
  type Entries,
  type GraphSpec,
  type ModelSpec,
  type TensorSpec,
} from '../testing/model-spec.js';
import { feedsFor, runFile } from '../testing/ort.js';
import { materialize } from '../wire/pieces.js';
import { DirectorySidecars } from '../wire/sidecar-files.js';
import { BufferSource, type ByteSource } from '../wire/source.js';
import { EMPTY_EDIT } from './edit.js';
import { planRewrite } from './plan.js';
import { DEFAULT_PLAN } from './tap.js';
import { splice } from './splice.js';
import { DEFAULT_ALIGN, planWeights, type WeightsMode, type WeightsOptions, type WeightsPlan } from './weights.js';

const v = (name: string, shape: readonly number[] = [20, 20]): ReturnType<typeof value> => value(name, shape);
const big = (name: string, seed: number): TensorSpec => weights(name, [20, 20], seed);

/**
 * A tensor of 1,600 bytes at each place that may hold one, all of them used by `y`; `t` needs the initializer alone.
 */
const EVERYWHERE: ModelSpec = {
  irVersion: 10,
  opset: [
    ['', 17],
    ['d', 1],
  ],
  functions: [
    {
      name: 'Shift',
      domain: 'd',
      inputs: ['p'],
      outputs: ['q'],
      nodes: [node('Constant', [], ['c'], { value: { tensor: big('', 4) } }), node('Add', ['p', 'c'], ['q'])],
    },
    {
      name: 'Table',
      domain: 'd',
      inputs: ['p'],
      outputs: ['q'],
      attributes: [],
      defaults: { table: { tensor: big('', 5) } },
      nodes: [node('Constant', [], ['c'], { value: { ref: 'table', refType: 4 } }), node('Sub', ['p', 'c'], ['q'])],
    },
  ],
  graph: {
    nodes: [
      node('Add', ['x', 'raw'], ['t']),
      node('Constant', [], ['constant'], { value: { tensor: big('', 2) } }),
      node('Mul', ['t', 'constant'], ['u']),
      node('If', ['cond'], ['b'], {
        then_branch: {
          graph: {
            name: 'then',
            nodes: [node('Add', ['u', 'in_body'], ['r'])],
            initializers: [big('in_body', 3)],
            outputs: [v('r')],
          },
        },
        else_branch: {
          graph: {
            name: 'else',
            nodes: [node('Constant', [], ['k'], { value: { tensor: big('', 6) } }), node('Sub', ['u', 'k'], ['s'])],
            outputs: [v('s')],
          },
        },
      }),
      node('Shift', ['b'], ['f'], {}, { domain: 'd' }),
      node('Table', ['f'], ['g'], {}, { domain: 'd' }),
      node('Add', ['g', 'floats'], ['h']),
      node('Cast', ['doubles'], ['cast'], { to: { int: 1 } }),
      node('Mul', ['h', 'cast'], ['i']),
      node('Mul', ['i', 'small'], ['j']),
      node('Gather', ['j', 'typed_indices'], ['l'], { axis: { int: 0 } }),
      node('Add', ['l', 'sparse'], ['y']),
    ],
    initializers: [
      big('raw', 1),
      { ...big('floats', 7), typed: true },
      {
        ...tensor(
          'doubles',
          [20, 20],
          Array.from({ length: 400 }, (_, index) => index / 7),
          'float64',
        ),
        typed: true,
      },
      tensor('small', [1], [0.5]),
      {
        ...tensor(
          'typed_indices',
          [20],
          Array.from({ length: 20 }, (_, index) => index),
          'int64',
        ),
        typed: true,
      },
    ],
    sparseInitializers: [
      {
        values: weights('sparse', [300], 8),
        indices: tensor(
          '',
          [300],
          Array.from({ length: 300 }, (_, index) => index),
          'int64',
        ),
        dims: [20, 20],
      },
    ],
    inputs: [v('x'), value('cond', [], 'bool')],
    outputs: [v('y')],
  },
};

/** Locations, offsets and lengths of external tensors, by place. */
async function externals(path: string): Promise<ReadonlyMap<string, readonly string[]>> {
  await using model = await openModel(path);
  return new Map(
    [...tensorsOf(model)].flatMap(({ place, external }) =>
      external === null ? [] : [[place, external.map((entry) => entry.value)] as const],
    ),
  );
}

const opened: DirectorySidecars[] = [];
afterEach(async () => {
  for (const files of opened.splice(0)) await files.close();
});

const plan = async (
  bench: Bench,
  mode: WeightsMode,
  more: Partial<WeightsOptions> = {},
  taps: readonly string[] = ['y'],
): Promise<WeightsPlan> => {
  const files = new DirectorySidecars(bench.path);
  opened.push(files);
  const { edit } = planRewrite(
    bench.view,
    new Map(),
    taps.map((name) => tapOf(bench.view, name)),
    { ...DEFAULT_PLAN, mode: 'list' },
  );
  return planWeights(bench.model, edit, files, {
    mode,
    sameDirectory: true,
    align: DEFAULT_ALIGN,
    sourceName: basename(bench.path),
    warn: () => undefined,
    ...more,
  });
};

const read = async (bench: Bench, planned: WeightsPlan): Promise<Uint8Array> =>
  materialize(bench.model.source, planned.sidecar?.pieces ?? []);

describe('inline weights', () => {
  const LARGE = [
    'graph.initializer[0]',
    'graph.initializer[1]',
    'graph.initializer[2]',
    'graph.sparse_initializer[0].values',
    'graph.sparse_initializer[0].indices',
    'graph.node[1].attribute[0].t',
    'graph.node[3].attribute[0].g.initializer[0]',
    'graph.node[3].attribute[1].g.node[0].attribute[0].t',
    'functions[0].node[0].attribute[0].t',
    'functions[1].attribute_proto[0].t',
  ];

  test.each(['external', 'reference'] as const)('%s moves every large tensor, wherever it stands', async (mode) => {
    await on(EVERYWHERE, async (bench) => {
      const result = await cutTensors(bench, ['y'], { mode: 'list' }, mode);
      const found = await externals(result.path);
      expect([...found.keys()].sort()).toEqual([...LARGE].sort());
      expect(new Set([...found.values()].map(([location]) => location))).toEqual(
        new Set([mode === 'external' ? 'cut.onnx.data' : 'model.onnx']),
      );
      const { got, want } = await runBoth(bench, ['y'], result);
      expect(got).toEqual(want);
    });
  });

  test('keep and embed leave them where they are', async () => {
    await on(EVERYWHERE, async (bench) => {
      for (const mode of ['keep', 'embed'] as const)
        expect(await plan(bench, mode)).toEqual({
          contents: new Map(),
          sidecar: null,
          isReference: false,
          keepsExternal: false,
        });
    });
  });

  test('only what is kept goes along', async () => {
    await on(EVERYWHERE, async (bench) => {
      const result = await cutTensors(bench, ['t'], {}, 'external');
      expect([...(await externals(result.path)).values()]).toEqual([['cut.onnx.data', '0', '1600']]);
      expect((await readFile(join(dirname(result.path), 'cut.onnx.data'))).length).toBe(1600);
    });
  });

  test('a sidecar starts its tensors at multiples of the alignment', async () => {
    await on(EVERYWHERE, async (bench) => {
      for (const align of [1, 64, 4096, 65536]) {
        const planned = await plan(bench, 'external', { align });
        const bytes = await read(bench, planned);
        for (const [moved, content] of planned.sidecar?.contents('w.data') ?? []) {
          if (content.length === 0) continue;
          const [offset, length] = [/offset.{2}(\d+)/s, /length.{2}(\d+)/s].map((pattern) =>
            Number(
              pattern.exec(
                content
                  .map((piece) => (piece instanceof Uint8Array ? Buffer.from(piece).toString('latin1') : ''))
                  .join(''),
              )?.[1],
            ),
          );
          expect(offset % align).toBe(0);
          const { start, end } = moved.payloads[0];
          expect(
            Buffer.from(bytes.subarray(offset, offset + length)).equals(
              Buffer.from(await bench.model.read({ start, end })),
            ),
          ).toBe(true);
        }
        expect(planned.sidecar?.contents('w.data').size).toBe(LARGE.length);
      }
      for (const align of [0, -1, 1.5, NaN])
        await expect(plan(bench, 'external', { align })).rejects.toMatchObject({
          name: 'UsageError',
          code: 'FEATX_USAGE_ALIGN',
        });
    });
  });

  test('everything but the values of a tensor stays: name, documentation, metadata, unknown fields', async () => {
    await on('fixtures/models/14-unknown-fields.onnx', async (bench) => {
      const result = await cutTensors(bench, ['layer1/act'], {}, 'external');
      await using model = await openModel(result.bytes);
      for (const moved of model.graph.initializers) {
        const original = bench.view.initializers.get(moved.name) as Tensor;
        const header = async (from: OnnxModel, { header: ranges }: Tensor): Promise<Buffer> =>
          Buffer.concat(await Promise.all(ranges.map((range) => from.read(range))));
        expect(await header(model, moved)).toEqual(await header(bench.model, original));
      }
      expect(model.graph.initializers.filter(({ external }) => external !== null).map(({ name }) => name)).toEqual([
        'layer1.weight',
      ]);
    });
  });

  test('what is not plain bytes stays: typed integers, unpacked floats, strings', async () => {
    const strings = {
      name: 'words',
      dims: [400],
      type: 'string',
      data: Array.from({ length: 400 }, (_, index) => `word ${index}`),
    } satisfies TensorSpec;
    const graph: GraphSpec = {
      nodes: [
        node('Identity', ['words'], ['y']),
        node('Identity', ['int32'], ['z']),
        node('Identity', ['float'], ['w']),
      ],
      inputs: [v('x')],
      outputs: [value('y', [400], 'string'), value('z', [400], 'int32'), value('w', [20, 20])],
      initializers: [
        strings,
        {
          ...tensor(
            'int32',
            [400],
            Array.from({ length: 400 }, (_, index) => index - 200),
            'int32',
          ),
          typed: true,
        },
        { ...big('float', 1), typed: true },
      ],
    };
    await on(
      { graph },
      async (bench) => {
        for (const mode of ['external', 'reference'] as const) {
          const result = await cutTensors(bench, ['y', 'z', 'w'], { mode: 'list' }, mode);
          expect((await externals(result.path)).size).toBe(0);
          expect(await runFile(result.path, {})).toEqual(await runFile(bench.path, feedsFor(bench.model)));
        }
        expect((await plan(bench, 'reference')).isReference).toBe(false);
      },
      { style: { packed: false } },
    );
  });

  test('training stays as it is', async () => {
    const spec: ModelSpec = {
      graph: {
        nodes: [node('Add', ['x', 'w'], ['a']), node('Neg', ['a'], ['y'])],
        initializers: [big('w', 1)],
        inputs: [v('x')],
        outputs: [v('y')],
      },
      trainingInfo: [{ algorithm: { nodes: [], initializers: [big('momentum', 2)] } }],
    };
    await on(spec, async (bench) => {
      const result = await cutTensors(bench, ['a'], { mode: 'hook', rewrite: false }, 'external');
      expect([...(await externals(result.path)).keys()]).toEqual(['graph.initializer[0]']);
    });
  });
});

describe('external weights', () => {
  const SIZE = 1600;
  const at = (name: string, location: string, offset: number, length: number | null = SIZE): TensorSpec => ({
    name,
    dims: [20, 20],
    external: [
      ['location', location],
      ['offset', String(offset)],
      ...(length === null ? [] : [['length', String(length)] as const]),
    ] as Entries,
  });
  const sum = (tensors: readonly TensorSpec[]): ModelSpec => ({
    graph: {
      nodes: tensors.map(({ name }, index) =>
        node(
          'Add',
          [index === 0 ? 'x' : `s${index - 1}`, name ?? ''],
          [index === tensors.length - 1 ? 'y' : `s${index}`],
        ),
      ),
      initializers: tensors,
      inputs: [v('x')],
      outputs: [v('y')],
    },
  });
  const bytes = (count: number): Uint8Array =>
    new Uint8Array(Float32Array.from({ length: count / 4 }, (_, index) => index / 100).buffer);

  test.each(['embed', 'external'] as const)(
    '%s: slices, tails, shared and overlapping ranges compute the same',
    async (mode) => {
      const tensors = [
        at('a', 'w.bin', 0),
        at('tail', 'w.bin', 4800, null),
        at('shared', 'w.bin', 0),
        at('overlap', 'w.bin', 800),
        at('again', './w.bin', 3200),
        at('other', 'v.bin', 64),
      ];
      await on(
        sum(tensors),
        async (bench) => {
          const result = await cutTensors(bench, ['y'], {}, mode);
          const { got, want } = await runBoth(bench, ['y'], result);
          expect(got).toEqual(want);
        },
        { sidecars: { 'w.bin': bytes(6400), 'v.bin': bytes(1664) } },
      );
    },
  );

  test('keep leaves references beside the model and takes slices elsewhere', async () => {
    await on(
      sum([at('a', 'w.bin', 3200), at('b', 'w.bin', 0)]),
      async (bench) => {
        expect(await plan(bench, 'keep')).toEqual({
          contents: new Map(),
          sidecar: null,
          isReference: false,
          keepsExternal: true,
        });
        const elsewhere = await plan(bench, 'keep', { sameDirectory: false, align: 1 }, ['s0']);
        expect(elsewhere.keepsExternal).toBe(false);
        expect(Buffer.from(await read(bench, elsewhere))).toEqual(Buffer.from(bytes(6400).subarray(3200, 4800)));
      },
      { sidecars: { 'w.bin': bytes(6400) } },
    );
  });

  test('small tensors come inline, in a sidecar of their own they would be in the way of shape inference', async () => {
    const small: TensorSpec = {
      name: 'small',
      dims: [16],
      external: [
        ['location', 'w.bin'],
        ['offset', '0'],
        ['length', '64'],
      ],
    };
    const spec: ModelSpec = {
      graph: {
        nodes: [node('Add', ['x', 'small'], ['a']), node('Add', ['a', 'large'], ['y'])],
        initializers: [small, { ...at('large', 'w.bin', 0, 1040), dims: [260] }],
        inputs: [value('x', [1])],
        outputs: [value('y', null)],
      },
    };
    await on(
      spec,
      async (bench) => {
        for (const [mode, more] of [
          ['external', {}],
          ['keep', { sameDirectory: false }],
        ] as const) {
          const planned = await plan(bench, mode, more, ['a']);
          expect([planned.sidecar, planned.contents.size]).toEqual([null, 1]);
        }
      },
      { sidecars: { 'w.bin': bytes(6400) } },
    );
  });

  test('bytes that tensors share are written once, and an overlap is said', async () => {
    const spec = (tensors: readonly TensorSpec[]): Promise<readonly [number, readonly string[]]> =>
      on(
        sum(tensors),
        async (bench) => {
          const warnings: string[] = [];
          const planned = await plan(bench, 'external', { align: 1, warn: (message) => warnings.push(message) });
          return [(await read(bench, planned)).length, warnings];
        },
        { sidecars: { 'w.bin': bytes(6400) } },
      );
    expect(await spec([at('a', 'w.bin', 0), at('b', './w.bin', 0), at('c', 'w.bin', 0)])).toEqual([1600, []]);
    expect(await spec([at('a', 'w.bin', 0), at('b', 'w.bin', 1600)])).toEqual([3200, []]);
    expect(await spec([at('a', 'w.bin', 0), at('b', 'w.bin', 4), at('c', 'w.bin', 8)])).toEqual([
      1608,
      ['external data of several tensors overlap in part; the bytes they share are written once'],
    ]);
  });

  test('many tensors over one range do not make a file larger than the range', async () => {
    const whole = new BufferSource(new Uint8Array(0));
    const source: ByteSource = { size: 2 ** 33, read: () => whole.read(0, 0) };
    const files: SidecarFiles = { open: async () => source, close: async () => undefined };
    const many = Array.from(
      { length: 2000 },
      (_, index): TensorSpec => ({
        name: `t${index}`,
        dims: [2 ** 30 - index],
        external: [
          ['location', 'w.bin'],
          ['offset', String(index * 4)],
        ] as Entries,
      }),
    );
    const spec: ModelSpec = {
      graph: {
        nodes: many.map(({ name }) => node('Neg', [name ?? ''], [`${String(name)}.out`])),
        initializers: many.map((each, index) => ({
          ...each,
          external: [...(each.external ?? []), ['length', String((2 ** 30 - index) * 4)]] as Entries,
        })),
        outputs: [value('t0.out', null)],
      },
    };
    await on(spec, async ({ model }) => {
      const options: WeightsOptions = {
        mode: 'external',
        sameDirectory: true,
        align: 4096,
        sourceName: null,
        warn: () => undefined,
      };
      const { sidecar } = await planWeights(model, EMPTY_EDIT, files, options);
      expect(
        sidecar?.pieces.map((piece) => (piece instanceof Uint8Array ? piece.length : piece.end - piece.start)),
      ).toEqual([2 ** 32]);
      const embedded = await planWeights(model, EMPTY_EDIT, files, { ...options, mode: 'embed' });
      const { assertLoadable } = await import('./weights.js');
      expect(() => assertLoadable(splice(model, EMPTY_EDIT, embedded.contents))).toThrow(
        expect.objectContaining({ code: 'FEATX_LIMIT_MODEL' }),
      );
    });
  });

  test('a reference points into inline weights only', async () => {
    await on(sum([at('a', 'w.bin', 0)]), async (bench) => {
      await expect(plan(bench, 'reference')).rejects.toMatchObject({
        name: 'UsageError',
        code: 'FEATX_USAGE_REFERENCE',
      });
    });
    await on(
      sum([big('inline', 1), at('a', 'w.bin', 0)]),
      async (bench) => {
        const result = await cutTensors(bench, ['y'], {}, 'reference');
        expect([...(await externals(result.path)).values()].map(([location]) => location)).toEqual([
          'model.onnx',
          'w.bin',
        ]);
        const { got, want } = await runBoth(bench, ['y'], result);
        expect(got).toEqual(want);
      },
      { sidecars: { 'w.bin': bytes(1600) } },
    );
  });

  test.each([[{ sourceName: null }], [{ sameDirectory: false }]])(
    'a reference needs its original beside it: %j',
    async (more) => {
      await on(
        {
          graph: {
            nodes: [node('Add', ['x', 'w'], ['y'])],
            initializers: [big('w', 1)],
            inputs: [v('x')],
            outputs: [v('y')],
          },
        },
        async (bench) => {
          await expect(plan(bench, 'reference', more)).rejects.toMatchObject({
            name: 'UsageError',
            code: 'FEATX_USAGE_REFERENCE',
            hint: expect.stringContaining('beside the model'),
          });
        },
      );
    },
  );

  test('only tensors that are kept are looked at', async () => {
    const spec = sum([big('w', 1), at('hostile', '../secret.bin', 0)]);
    await on(spec, async (bench) => {
      expect((await cutTensors(bench, ['s0'], {}, 'embed')).names.initializers).toEqual(['w']);
      await expect(plan(bench, 'keep')).rejects.toMatchObject({ name: 'PolicyError' });
    });
  });
});

describe('tensors that cannot be', () => {
  test.each([
    ['too few bytes', { dims: [4], data: Uint8Array.of(1, 2, 3, 4) }, 'FEATX_GRAPH_DATA', 'has 4 bytes of values'],
    ['too many bytes', { dims: [0], data: Uint8Array.of(1, 2, 3, 4) }, 'FEATX_GRAPH_DATA', 'take 0'],
    ['impossible dims', { dims: [2 ** 40, 2 ** 40] }, 'FEATX_GRAPH_DIMS', 'impossible dims'],
    ['a negative dim', { dims: [-1] }, 'FEATX_GRAPH_DIMS', '[-1]'],
    [
      'strings as raw bytes',
      { dims: [1], type: 'string', data: Uint8Array.of(65) },
      'FEATX_GRAPH_DATA',
      'strings in raw_data',
    ],
    ['odd halves of bytes', { dims: [3], type: 'int4', data: Uint8Array.of(1) }, 'FEATX_GRAPH_DATA', 'take 2'],
  ] as readonly (readonly [string, TensorSpec, string, string])[])(
    '%s is an error with the place',
    async (_what, bad, code, message) => {
      const spec: ModelSpec = {
        graph: {
          nodes: [node('Identity', ['w'], ['y'])],
          initializers: [{ name: 'w', ...bad }],
          outputs: [value('y', null)],
        },
      };
      await expect(on(spec, async () => undefined)).rejects.toMatchObject({
        name: 'ModelFormatError',
        code,
        field: 'graph.initializer[0]',
        message: expect.stringContaining(message),
      });
    },
  );
});

test('ranges that overlap anyhow are found again in the sidecar', async () => {
  const SIZE = 4000;
  const random = Uint8Array.from({ length: SIZE }, (_, index) => (index * 7919) % 256);
  const range = fc.record({
    offset: fc.nat(SIZE - 2000),
    count: fc.integer({ min: 257, max: 500 }),
    file: fc.constantFrom('a.bin', 'b.bin'),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(range, { minLength: 1, maxLength: 8 }),
      fc.constantFrom(1, 16, 4096),
      async (ranges, align) => {
        const tensors = ranges.map(
          ({ offset, count, file }, index): TensorSpec => ({
            name: `w${index}`,
            dims: [count],
            external: [
              ['location', file],
              ['offset', String(offset)],
              ['length', String(count * 4)],
            ],
          }),
        );
        const model: ModelSpec = {
          graph: {
            nodes: tensors.map(({ name }) => node('Neg', [name ?? ''], [`${String(name)}.out`])),
            initializers: tensors,
            outputs: [value('w0.out', null)],
          },
        };
        const { encodeModel } = await import('../testing/model-builder.js');
        await using source = await openModel(encodeModel(model));
        const sources = new Map(['a.bin', 'b.bin'].map((name) => [name, new BufferSource(random)]));
        const files: SidecarFiles = {
          open: async (location) => sources.get(location) as ByteSource,
          close: async () => undefined,
        };
        const { sidecar } = await planWeights(source, EMPTY_EDIT, files, {
          mode: 'external',
          sameDirectory: true,
          align,
          sourceName: null,
          warn: () => undefined,
        });
        const bytes = await materialize(source.source, sidecar?.pieces ?? []);
        await using result = await openModel(
          await materialize(source.source, splice(source, EMPTY_EDIT, sidecar?.contents('s.data'))),
        );
        result.graph.initializers.forEach(({ external }, index) => {
          const entry = new Map(external?.map(({ key, value: text }) => [key, text]));
          const [offset, length] = [Number(entry.get('offset')), Number(entry.get('length'))];
          expect(
            Buffer.from(bytes.subarray(offset, offset + length)).equals(
              random.subarray(ranges[index].offset, ranges[index].offset + length),
            ),
          ).toBe(true);
        });
        const padding = ranges.length * align;
        expect(bytes.length).toBeLessThanOrEqual(2 * SIZE + padding);
      },
    ),
    { seed: 20, numRuns: 60 },
  );
});
