import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { viewGraph } from '../onnx/graph.js';
import { patched } from '../onnx/patch.js';
import type { OnnxModel } from '../onnx/records.js';
import { declaredTypes, type InferredTypes } from '../onnx/types.js';
import { openModel } from '../open.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, weights, type GraphSpec, type ModelSpec } from '../testing/model-spec.js';
import { wrap } from '../wire/encode.js';
import { concat } from '../wire/pieces.js';
import { inferTypes } from './types.js';
import type { InferOptions } from './type-questions.js';

const fixture = (name: string): string => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));

async function infer(
  graph: GraphSpec,
  tensors?: readonly string[],
  options: InferOptions & Omit<ModelSpec, 'graph'> = {},
): Promise<InferredTypes> {
  await using model = await openModel(encodeModel({ ...options, graph }));
  const made = model.graph.nodes.flatMap(({ outputs }) => outputs).filter((name) => name !== '');
  return inferTypes(model, tensors ?? made, { isolate: false, ...options });
}

/** The model without value_info and without the types of its outputs. */
async function undeclared(model: OnnxModel, bytes: Uint8Array): Promise<OnnxModel> {
  const parts: Uint8Array[] = [];
  for (const field of model.modelFields) {
    if (field.number !== 7) {
      parts.push(bytes.subarray(field.start, field.end));
      continue;
    }
    const gone = model.graphFields.filter(
      ({ number, start, end }) => number === 13 && start >= field.payload && end <= field.end,
    );
    const patches = gone.map(({ start, end }) => ({ start, end, enclosing: [field], pieces: [] }));
    parts.push(
      ...wrap(7, patched(field, patches)).map((piece) =>
        piece instanceof Uint8Array ? piece : bytes.subarray(piece.start, piece.end),
      ),
    );
  }
  return openModel(concat(parts));
}

describe('a file that declares its types', () => {
  test.each(['timm/test_vit.dy.onnx', 'zoo/lcnet_050.dy.onnx', 'zoo/levit_128s.dy.onnx'])(
    '%s: inferred types equal the declared ones',
    async (name) => {
      const bytes = readFileSync(fixture(name));
      await using model = await openModel(bytes);
      await using bare = await undeclared(model, bytes);
      const declared = declaredTypes(model);
      const made = model.graph.nodes.flatMap(({ outputs }) => outputs);
      const { types, nominal, warnings } = await inferTypes(bare, made, { isolate: false });
      expect(warnings).toEqual([]);
      const wrong = made.filter(
        (tensorName) => JSON.stringify(types.get(tensorName)) !== JSON.stringify(declared.get(tensorName)),
      );
      expect(wrong.map((tensorName) => [tensorName, types.get(tensorName), declared.get(tensorName)])).toEqual([]);
      expect(
        made.filter((tensorName) => nominal.get(tensorName)?.shape?.some((dim) => typeof dim !== 'number') !== false),
      ).toEqual([]);
    },
  );

  test('is answered without the runtime, symbols and all', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['batch', 3, 'h', 'w'])],
      outputs: [value('y', ['batch', 8, 'h', 'w'])],
      valueInfo: [value('c', ['batch', 8, 'h', 'w'])],
      initializers: [weights('k', [8, 3, 1, 1], 1)],
      nodes: [node('Conv', ['x', 'k'], ['c']), node('Relu', ['c'], ['y'])],
    };
    const { types, nominal, nominalInputShape } = await infer(graph, ['x', 'c', 'y', 'k'], {
      isolate: true,
      timeoutMs: 1,
    });
    expect(types.get('c')).toEqual({ dtype: 'float32', shape: ['batch', 8, 'h', 'w'] });
    expect(nominal.get('y')).toEqual({ dtype: 'float32', shape: [1, 8, 224, 224] });
    expect(types.get('k')).toEqual({ dtype: 'float32', shape: [8, 3, 1, 1] });
    expect([...nominalInputShape]).toEqual([['x', [1, 3, 224, 224]]]);
  });
});

describe('what follows from the graph', () => {
  const pyramid: GraphSpec = {
    inputs: [value('x', ['batch', 3, 'height', 'width'])],
    outputs: [value('y', null, null)],
    initializers: [weights('k', [300, 3, 3, 3], 1)],
    nodes: [
      node('Conv', ['x', 'k'], ['c'], { strides: { ints: [2, 2] }, pads: { ints: [1, 1, 1, 1] } }),
      node('GlobalAveragePool', ['c'], ['p']),
      node('Flatten', ['p'], ['y']),
    ],
  };

  test('keeps symbols in formulas; numbers only in nominal', async () => {
    const { types, nominal, nominalInputShape, warnings } = await infer(pyramid);
    expect(types.get('c')).toEqual({
      dtype: 'float32',
      shape: ['batch', 300, 'ceil(height/2)', 'ceil(width/2)'],
    });
    expect(types.get('p')).toEqual({ dtype: 'float32', shape: ['batch', 300, 1, 1] });
    expect(nominal.get('c')).toEqual({ dtype: 'float32', shape: [1, 300, 112, 112] });
    expect([...nominalInputShape]).toEqual([['x', [1, 3, 224, 224]]]);
    expect(warnings).toEqual([]);
  });

  test('takes the shape that the user gives, for a named and for the only input', async () => {
    for (const name of ['x', '']) {
      const { nominal, nominalInputShape } = await infer(pyramid, ['c'], {
        inputShapes: new Map([[name, [2, 3, 64, 32]]]),
      });
      expect(nominal.get('c')?.shape).toEqual([2, 300, 32, 16]);
      expect([...nominalInputShape]).toEqual([['x', [2, 3, 64, 32]]]);
    }
  });

  test('refuses shapes that contradict the model, all of them in one error', async () => {
    const inputShapes = new Map([
      ['x', [1, 4, 8, 8]],
      ['z', [1]],
    ]);
    await expect(infer(pyramid, ['c'], { inputShapes })).rejects.toThrow(
      /'x' gets 1,4,8,8 and is fixed to batch,3,height,width; 'z' is no input/,
    );
  });

  test('tries 256 where the model rejects 224', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['n', 3, 'h', 'w'])],
      outputs: [value('y', null, null)],
      initializers: [weights('position', [1, 3, 64, 64], 1)],
      nodes: [
        node('MaxPool', ['x'], ['m'], { kernel_shape: { ints: [4, 4] }, strides: { ints: [4, 4] } }),
        node('Add', ['m', 'position'], ['y']),
      ],
    };
    const { nominal, nominalInputShape } = await infer(graph);
    expect(nominal.get('m')?.shape).toEqual([1, 3, 64, 64]);
    expect(nominalInputShape.get('x')).toEqual([1, 3, 256, 256]);
  });

  test('follows shapes that the graph computes', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', [2, 3, 4, 5])],
      outputs: [value('y', null, null)],
      initializers: [tensor('tail', [1], [-1], 'int64'), tensor('first', [], [0], 'int64')],
      nodes: [
        node('Shape', ['x'], ['s']),
        node('Gather', ['s', 'first'], ['n']),
        node('Unsqueeze', ['n', 'axes'], ['n1']),
        node('Constant', [], ['axes'], { value: { tensor: tensor('', [1], [0], 'int64') } }),
        node('Concat', ['n1', 'tail'], ['to'], { axis: { int: 0 } }),
        node('Reshape', ['x', 'to'], ['y']),
      ],
    };
    const { types, warnings } = await infer(graph);
    expect(types.get('y')).toEqual({ dtype: 'float32', shape: [2, 60] });
    expect(types.get('n')).toEqual({ dtype: 'int64', shape: [] });
    expect(warnings).toEqual([]);
  });

  test('tells a scalar from an unknown rank', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['b', 3]), value('to', ['rank'], 'int64')],
      outputs: [value('y', null, null)],
      nodes: [
        node('ReduceMax', ['x'], ['most'], { keepdims: { int: 0 } }),
        node('Mul', ['most', 'most'], ['square']),
        node('Reshape', ['x', 'to'], ['y']),
        node('Squeeze', ['x'], ['q']),
      ],
    };
    const { types } = await infer(graph);
    expect(types.get('most')).toEqual({ dtype: 'float32', shape: [] });
    expect(types.get('square')).toEqual({ dtype: 'float32', shape: [] });
    expect(types.get('y')).toEqual({ dtype: 'float32', shape: null });
    expect(types.get('q')).toEqual({ dtype: 'float32', shape: null });
  });

  test('does not take a default that a caller may override for a constant', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', [2, 6]), value('to', [2], 'int64')],
      outputs: [value('y', null, null)],
      initializers: [tensor('to', [2], [3, 4], 'int64')],
      nodes: [node('Reshape', ['x', 'to'], ['y'])],
    };
    const { types, nominal } = await infer(graph);
    expect(types.get('y')).toEqual({ dtype: 'float32', shape: [null, null] });
    expect(nominal.get('y')).toEqual({ dtype: 'float32', shape: [3, 4] });
    const old = await infer(graph, ['y'], { irVersion: 3 });
    expect(old.types.get('y')).toEqual({ dtype: 'float32', shape: [3, 4] });
  });
});

describe('operators that featx does not know', () => {
  const opset = [
    ['', 17],
    ['com.microsoft', 1],
  ] as const;
  const graph: GraphSpec = {
    inputs: [value('x', ['batch', 3, 'height', 'width'])],
    outputs: [value('y', null, null)],
    initializers: [weights('k', [300, 3, 3, 3], 1), tensor('axis', [], [1], 'int32')],
    nodes: [
      node('Conv', ['x', 'k'], ['c'], { strides: { ints: [2, 2] }, pads: { ints: [1, 1, 1, 1] } }),
      node('ExpandDims', ['c', 'axis'], ['e'], {}, { domain: 'com.microsoft' }),
      node('Relu', ['e'], ['y']),
    ],
  };
  const shape = ['batch', 1, 300, 'ceil(height/2)', 'ceil(width/2)'];

  test('ONNX Runtime is asked about them alone, and inference goes on from there', async () => {
    const { types, nominal, origins, warnings } = await infer(graph, undefined, { opset });
    expect(['c', 'e', 'y'].map((name) => origins?.get(name))).toEqual(['inferred', 'asked', 'inferred']);
    expect(types.get('e')).toEqual({ dtype: 'float32', shape });
    expect(types.get('y')).toEqual({ dtype: 'float32', shape });
    expect(nominal.get('y')).toEqual({ dtype: 'float32', shape: [1, 1, 300, 112, 112] });
    expect(warnings).toEqual([]);
  });

  test('it is not asked where nothing behind them is wanted, or where the file says it', async () => {
    const inVain = { opset, isolate: true, timeoutMs: 1 };
    expect((await infer(graph, ['c'], inVain)).types.get('c')?.dtype).toBe('float32');
    const said = { ...graph, valueInfo: [value('e', ['batch', 1, 300, 'a', 'b'])] };
    const { types, origins } = await infer(said, undefined, inVain);
    expect(types.get('y')?.shape).toEqual(['batch', 1, 300, 'a', 'b']);
    expect(origins?.get('e')).toBe('declared');
  });

  test('if it is needed and does not answer, there is an error that says what for', async () => {
    await expect(infer(graph, undefined, { opset, isolate: true, timeoutMs: 1 })).rejects.toMatchObject({
      code: 'FEATX_TIMEOUT',
      message: expect.stringContaining('com.microsoft:ExpandDims') as string,
    });
  });

  test('inside a body and a function', async () => {
    const inner = node('ExpandDims', ['a', 'i'], ['b'], {}, { domain: 'com.microsoft' });
    const index = node('Constant', [], ['i'], { value: { tensor: tensor('', [], [0], 'int32') } });
    const called: GraphSpec = {
      inputs: [value('x', ['n', 4])],
      outputs: [value('y', null, null)],
      nodes: [node('Wider', ['x'], ['y'], {}, { domain: 'local' })],
    };
    const imports = [...opset, ['local', 1]] as const;
    const functions = [{ name: 'Wider', domain: 'local', inputs: ['a'], outputs: ['b'], nodes: [index, inner], opset }];
    const { types, warnings } = await infer(called, undefined, { opset: imports, functions, irVersion: 9 });
    expect(warnings).toEqual([]);
    expect(types.get('y')).toEqual({ dtype: 'float32', shape: [1, 'n', 4] });
  });
});

describe('sizes that fit the network', () => {
  const fit = async (inputs: GraphSpec['inputs'], more: Partial<GraphSpec>): Promise<InferredTypes> =>
    infer({ inputs, outputs: [value('y', null, null)], ...more });

  test('a position embedding of 577 tokens', async () => {
    const { nominalInputShape, warnings } = await fit([value('x', ['n', 3, 'h', 'w'])], {
      initializers: [
        weights('k', [8, 3, 16, 16], 1),
        weights('position', [1, 576, 8], 2),
        tensor('flat', [3], [0, 8, -1], 'int64'),
      ],
      nodes: [
        node('Conv', ['x', 'k'], ['c'], { strides: { ints: [16, 16] } }),
        node('Reshape', ['c', 'flat'], ['f']),
        node('Transpose', ['f'], ['t'], { perm: { ints: [0, 2, 1] } }),
        node('Add', ['t', 'position'], ['y']),
      ],
    });
    expect([...nominalInputShape]).toEqual([['x', [1, 3, 384, 384]]]);
    expect(warnings).toEqual([]);
  });

  test('a spectrogram of 80 bands, and a waveform longer than its receptive field', async () => {
    const mel = await fit([value('x', ['batch', 'bands', 'frames'])], {
      initializers: [weights('k', [4, 80, 3], 1)],
      nodes: [node('Relu', ['x'], ['r']), node('Conv', ['r', 'k'], ['y'])],
    });
    expect([...mel.nominalInputShape.values()]).toEqual([[1, 80, 16]]);
    const wave = await fit([value('x', ['batch', 1, 'length'])], {
      initializers: [weights('k', [1, 1, 10], 1)],
      nodes: [1, 2, 3].map((at) =>
        node('Conv', [at === 1 ? 'x' : `c${at - 1}`, 'k'], [at === 3 ? 'y' : `c${at}`], { strides: { ints: [5] } }),
      ),
    });
    const [[, , length]] = [...wave.nominalInputShape.values()];
    expect(length).toBeGreaterThanOrEqual(280);
    expect(wave.warnings).toEqual([]);
  });

  test('a height that a later layer takes away', async () => {
    const { nominalInputShape } = await fit([value('x', ['n', 3, 'height', 'width'])], {
      initializers: [weights('k', [4, 3, 3, 3], 1), tensor('axes', [1], [2], 'int64')],
      nodes: [
        node('Conv', ['x', 'k'], ['c'], { strides: { ints: [2, 2] }, pads: { ints: [1, 1, 1, 1] } }),
        node('MaxPool', ['c'], ['p'], { kernel_shape: { ints: [16, 1] }, strides: { ints: [16, 1] } }),
        node('Squeeze', ['p', 'axes'], ['y']),
      ],
    });
    expect([...nominalInputShape.values()]).toEqual([[1, 3, 48, 224]]);
  });

  test('if nothing fits, one warning proposes a shape', async () => {
    const { warnings } = await fit([value('x', ['n', 3, 'h', 'w'])], {
      initializers: [weights('a', [1, 3, 50, 1], 1), weights('b', [1, 3, 60, 1], 1)],
      nodes: [node('Add', ['x', 'a'], ['s']), node('Add', ['x', 'b'], ['y'])],
    });
    expect(warnings).toEqual([expect.stringContaining('inputShapes: {"x":[1,3,')]);
  });
});

describe('what must not sink the rest', () => {
  test('bfloat16, float8 and int4 tensors', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['b', 4])],
      outputs: [value('y', null, null)],
      nodes: [
        node('Cast', ['x'], ['b'], { to: { int: 16 } }),
        node('Cast', ['x'], ['f8'], { to: { int: 17 } }),
        node('Transpose', ['b'], ['bt']),
        node('Cast', ['bt'], ['back'], { to: { int: 1 } }),
        node('Cast', ['x'], ['i4'], { to: { int: 22 } }),
        node('Flatten', ['x'], ['y']),
      ],
    };
    const { types, warnings } = await infer(graph, undefined, { opset: 21, irVersion: 10 });
    expect(Object.fromEntries([...types].map(([name, type]) => [name, [type.dtype, type.shape]]))).toEqual({
      b: ['bfloat16', ['b', 4]],
      f8: ['float8e4m3fn', ['b', 4]],
      bt: ['bfloat16', [4, 'b']],
      back: ['float32', [4, 'b']],
      i4: ['int4', ['b', 4]],
      y: ['float32', ['b', 4]],
    });
    expect(warnings).toEqual([]);
  });

  test('a network in bfloat16, for which the CPU has no kernels', async () => {
    const bfloat = (name: string, dims: readonly number[]) =>
      ({ name, dims, type: 'bfloat16', data: new Uint8Array(dims.reduce((count, dim) => count * dim, 2)) }) as const;
    const graph: GraphSpec = {
      inputs: [value('x', ['n', 3, 8, 8])],
      outputs: [value('y', null, null)],
      initializers: [bfloat('k', [600, 3, 3, 3]), bfloat('bias', [600]), bfloat('scale', [1])],
      nodes: [
        node('Cast', ['x'], ['xb'], { to: { int: 16 } }),
        node('Conv', ['xb', 'k', 'bias'], ['c']),
        node('Mul', ['c', 'scale'], ['m']),
        node('Constant', [], ['one'], { value: { tensor: bfloat('', [1]) } }),
        node('Add', ['m', 'one'], ['a']),
        node('GlobalAveragePool', ['a'], ['p']),
        node('Flatten', ['p'], ['f']),
        node('Cast', ['f'], ['y'], { to: { int: 1 } }),
      ],
    };
    const { types, nominal, warnings } = await infer(graph, undefined, { opset: 22, irVersion: 10 });
    expect(warnings).toEqual([]);
    expect(types.get('a')).toEqual({ dtype: 'bfloat16', shape: ['n', 600, 6, 6] });
    expect(nominal.get('f')).toEqual({ dtype: 'bfloat16', shape: [1, 600] });
    expect(types.get('y')).toEqual({ dtype: 'float32', shape: ['n', 600] });
  });

  test('a custom operator: what stands behind it is unknown, the rest is answered', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', [1, 4])],
      outputs: [value('z', null, null)],
      nodes: [
        node('Flatten', ['x'], ['a']),
        node('Magic', ['a'], ['m'], {}, { domain: 'my.domain', name: 'spell' }),
        node('Flatten', ['m'], ['z']),
        node('Concat', ['a', 'a'], ['c'], { axis: { int: 1 } }),
      ],
    };
    const opset = [
      ['', 17],
      ['my.domain', 1],
    ] as const;
    const { types, warnings } = await infer(graph, undefined, { opset });
    expect(types.get('c')).toEqual({ dtype: 'float32', shape: [1, 8] });
    expect(types.has('m')).toBe(false);
    expect(types.get('z')).toEqual({ dtype: null, shape: [null, null] });
    // That nobody knows the operator is a note on the graph; to ask ONNX Runtime would be in vain.
    expect(warnings).toEqual([]);
    const typed = await infer({ ...graph, valueInfo: [value('m', [1, 2, 3])] }, undefined, { opset });
    expect(typed.types.get('z')).toEqual({ dtype: 'float32', shape: [1, 6] });
  });

  test('an operator that contradicts its definition is named as the file names it', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', [1, 4])],
      outputs: [value('y', null, null)],
      nodes: [node('Flatten', ['x'], ['a']), node('Conv', ['a'], ['y'], {}, { name: 'stem/conv' })],
    };
    const { types, warnings } = await infer(graph);
    expect(types.get('a')).toEqual({ dtype: 'float32', shape: [1, 4] });
    expect(types.has('y')).toBe(false);
    expect(warnings).toEqual([expect.stringMatching(/^node\[1\] stem\/conv \(Conv\) is impossible: /)]);
  });

  test('a value that is no tensor', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', [1, 4])],
      outputs: [value('y', null, null)],
      nodes: [
        node('SplitToSequence', ['x'], ['list']),
        node('ConcatFromSequence', ['list'], ['y'], { axis: { int: 1 } }),
      ],
    };
    const { types } = await infer(graph);
    expect(types.get('list')).toEqual({
      dtype: null,
      shape: null,
      type: 'sequence',
      whole: { kind: 'sequence', element: { kind: 'tensor', elemType: 1, shape: [1, 4] } },
    });
    expect(types.get('y')).toEqual({ dtype: 'float32', shape: [1, 4] });
  });

  test('names that are not UTF-8, and inputs without a type', async () => {
    const bad = Uint8Array.from([0x61, 0xff]);
    const graph: GraphSpec = {
      inputs: [value('x', [1, 4]), value('u', null, null)],
      outputs: [value(bad, null, null)],
      nodes: [node('Flatten', ['x'], [bad]), node('Neg', ['u'], ['v'])],
    };
    const { types } = await infer(graph);
    expect(types.get('a\udcff')).toEqual({ dtype: 'float32', shape: [1, 4] });
    expect(types.has('v')).toBe(false);
  });
});

describe('weights are not needed', () => {
  const big = weights('w', [600, 4], 3);
  const external = {
    name: 'w',
    dims: [600, 4],
    external: [
      ['location', 'missing.bin'],
      ['offset', '0'],
      ['length', '9600'],
    ],
  } as const;

  test.each([
    ['inline', big],
    ['outside the file, which does not exist', external],
  ])('%s', async (_where, w) => {
    const graph: GraphSpec = {
      inputs: [value('x', ['b', 600])],
      outputs: [value('y', null, null)],
      initializers: [w],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
    };
    expect((await infer(graph)).types.get('y')).toEqual({ dtype: 'float32', shape: ['b', 4] });
  });

  test.each([
    ['inline', big],
    ['outside the file', external],
  ])('of a Constant, of bodies and of functions, %s', async (_where, w) => {
    const half = { name: 'h', dims: [600, 4], type: 'float16', data: new Uint8Array(4800) } as const;
    const branch = (name: string): GraphSpec => ({
      initializers: [w, half],
      nodes: [
        node('Constant', [], ['c'], { value: { tensor: { ...w, name: '' } } }),
        node('MatMul', ['x', 'w'], ['m']),
        node('Cast', ['h'], ['hf'], { to: { int: 1 } }),
        node('MatMul', ['x', 'c'], ['n']),
        node('Add', ['m', 'n'], [name]),
      ],
      outputs: [value(name, null, null)],
    });
    const graph: GraphSpec = {
      inputs: [value('x', ['b', 600]), value('cond', [], 'bool')],
      outputs: [value('y', null, null)],
      nodes: [
        node('Constant', [], ['k'], { value: { tensor: { ...w, name: '' } } }),
        node('MatMul', ['x', 'k'], ['y']),
        node('If', ['cond'], ['i'], { then_branch: { graph: branch('t') }, else_branch: { graph: branch('e') } }),
        node('Project', ['x'], ['f'], {}, { domain: 'local' }),
      ],
    };
    const functions = [
      {
        name: 'Project',
        domain: 'local',
        inputs: ['a'],
        outputs: ['o'],
        nodes: [
          node('Constant', [], ['c'], { value: { tensor: { ...w, name: '' } } }),
          node('MatMul', ['a', 'c'], ['o']),
        ],
      },
    ];
    const { types, warnings } = await infer(graph, undefined, {
      opset: [
        ['', 17],
        ['local', 1],
      ],
      functions,
    });
    expect(warnings).toEqual([]);
    for (const name of ['y', 'i', 'f'])
      expect([name, types.get(name)]).toEqual([name, { dtype: 'float32', shape: ['b', 4] }]);
  });

  test('weights that were taken out to share the graph: the shapes are there, and a note on the graph', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['b', 600])],
      outputs: [value('y', null, null)],
      initializers: [{ name: 'w', dims: [600, 4], data: new Uint8Array(0) }],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
    };
    expect((await infer(graph)).types.get('y')).toEqual({ dtype: 'float32', shape: ['b', 4] });
    await using model = await openModel(encodeModel({ graph }));
    expect(viewGraph(model).warnings).toEqual([expect.stringMatching(/^a tensor has dims and no values \('w'\)/)]);
  });

  test('a file out of order is answered like one in order', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['b', 600])],
      outputs: [value('y', null, null)],
      initializers: [big],
      nodes: [node('Relu', ['m'], ['r']), node('Flatten', ['r'], ['y']), node('MatMul', ['x', 'w'], ['m'])],
    };
    expect((await infer(graph)).types.get('y')).toEqual({ dtype: 'float32', shape: ['b', 4] });
    await using model = await openModel(encodeModel({ graph }));
    expect(viewGraph(model).sorted).toBe(false);
  });
});
