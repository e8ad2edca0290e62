import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { onnx } from 'onnx-proto';
import * as ort from 'onnxruntime-node';
import { resolveFeatures } from '../features/resolve.js';
import { selectFeatures } from '../features/select.js';
import { viewGraph } from '../onnx/graph.js';
import { openModel } from '../open.js';
import { inferTypes } from '../runtime/types.js';
import { cutTensors, on, runBoth, type DecodedCut } from '../testing/cutting.js';
import { tapOf, type Bench } from '../testing/equivalence.js';
import { node, tensor, value, weights, type ModelSpec } from '../testing/model-spec.js';
import { feedsFor, runFile } from '../testing/ort.js';
import { seededFloats } from '../testing/random.js';
import { bytes } from '../testing/wire-writer.js';
import { planRewrite } from './plan.js';
import { DEFAULT_PLAN } from './tap.js';
import { assertLoadable } from './weights.js';

/** The hard cases of cutting ONNX graphs, by number. */
const fixture = (name: string): string => `fixtures/models/${name}.onnx`;

async function expectSameValues(bench: Bench, tensors: readonly string[], result: DecodedCut): Promise<void> {
  const { got, want } = await runBoth(bench, tensors, result);
  for (const [name, bytes] of want)
    expect([name, Buffer.from(got.get(name) ?? [])]).toEqual([name, Buffer.from(bytes)]);
}

/** Bytes of every message that a cut keeps must stand in the original as they are. */
function expectBorrowed(result: DecodedCut, original: Uint8Array, messages: readonly Uint8Array[]): void {
  for (const message of messages.map((each) => Buffer.from(each))) {
    expect(Buffer.from(original).includes(message)).toBe(true);
    expect(Buffer.from(result.bytes).includes(message)).toBe(true);
  }
}

async function nodeBytes({ model }: Bench, opType: string): Promise<Uint8Array> {
  const found = model.graph.nodes.find((each) => each.opType === opType);
  if (found === undefined) throw new Error(opType);
  return model.read(found.field);
}

describe('1: bodies capture tensors', () => {
  test.each([
    ['01-capture-if', 'b', ['a', 'b'], ['only_in_body']],
    ['01-capture-loop', 'total', ['start', 'step', 'total all'], ['trips', 'yes']],
    ['01-capture-scan', 'final', ['rows', 'gain', 'final running'], ['zero']],
    ['01-capture-nested', 'total', ['deep', 'total'], ['trips', 'yes', 'deep_weight']],
  ])('%s: what only a body reads is kept', async (name, tapped, nodes, initializers) => {
    await on(fixture(name), async (bench) => {
      const result = await cutTensors(bench, [tapped], { mode: 'list' });
      expect(result.nodes).toEqual(nodes);
      expect(result.names.initializers).toEqual(initializers);
      await expectSameValues(bench, [tapped], result);
    });
  });

  test('what a body hands out without reading it in a node is kept', async () => {
    await on(fixture('01-capture-body-output'), async (bench) => {
      expect((await cutTensors(bench, ['b'], { mode: 'list' })).nodes).toEqual(['a', 'c', 'b']);
    });
  });

  test('what nothing reads goes, whatever bodies elsewhere say', async () => {
    await on(fixture('01-capture-if'), async (bench) => {
      const result = await cutTensors(bench, ['a'], { mode: 'list' });
      expect([result.nodes, result.names.initializers, result.names.inputs]).toEqual([['a'], [], ['x']]);
    });
  });
});

test('2: bodies are copied verbatim, unused formal inputs included', async () => {
  await on(fixture('02-unused-formal-inputs'), async (bench) => {
    const result = await cutTensors(bench, ['first'], { mode: 'list' });
    expect(result.graph.node?.[0].attribute?.[0].g?.input?.map(({ name }) => name)).toEqual([
      'iteration',
      'going',
      's0',
      's1',
    ]);
    expectBorrowed(result, await readFile(bench.path), [await nodeBytes(bench, 'Loop')]);
    await expectSameValues(bench, ['first'], result);
  });
});

test('3: a name in a body is not the later one of the main graph', async () => {
  await on(fixture('03-same-name-in-body'), async (bench) => {
    expect(bench.view.sorted).toBe(true);
    const before = await cutTensors(bench, ['b'], { mode: 'list' });
    expect(before.nodes).toEqual(['b']);
    await expectSameValues(bench, ['b'], before);
    const after = await cutTensors(bench, ['tmp'], { mode: 'list' });
    expect(after.nodes).toEqual(['b', 'tmp']);
    await expectSameValues(bench, ['tmp'], after);
  });
});

describe('4: a tensor inside a body', () => {
  const asked = async (source: string, by: 'tensor' | 'node', name: string): Promise<unknown> =>
    on(fixture(source), async (bench) => {
      const types = await inferTypes(bench.view, [], { isolate: false });
      try {
        return selectFeatures(bench.view, types, resolveFeatures(bench.view, types), { select: [{ by, name }] });
      } catch (error) {
        return error;
      }
    });

  test('is refused, naming the body and what leaves it', async () => {
    expect(await asked('04-tensor-in-body', 'tensor', 'inner')).toMatchObject({
      name: 'ResolveError',
      message: expect.stringMatching(/^the tensor 'inner' lives inside the then_branch of node\[0\] If/),
      hint: "take what leaves there: 'b'",
    });
    expect(await asked('01-capture-nested', 'tensor', 't0')).toMatchObject({
      message: expect.stringContaining(
        'the then_branch of node[0] If in the then_branch of node[1] If in the body of node[1] Loop',
      ),
    });
    expect(await asked('03-same-name-in-body', 'tensor', 'r')).toMatchObject({
      message: expect.stringContaining('the then_branch of node[0] If and the else_branch of node[0] If'),
    });
  });

  test('is refused in a function too', async () => {
    expect(await asked('05-functions', 'tensor', 'q')).toMatchObject({
      name: 'ResolveError',
      message: expect.stringContaining("'q' lives inside the function featx.test:Twice"),
      hint: expect.stringContaining("'b'"),
    });
    expect(await asked('04-tensor-in-body', 'node', 'inner')).toMatchObject({ name: 'ResolveError' });
  });

  test('never becomes a dangling output', async () => {
    await on(fixture('04-tensor-in-body'), async (bench) => {
      await expect(cutTensors(bench, ['inner', 'a', 'gone'])).rejects.toMatchObject({
        name: 'UsageError',
        message: "the main graph has no tensor 'inner', 'a', 'gone'",
      });
    });
  });

  test('a name that is empty is none, even where an input is called so', async () => {
    const nameless: ModelSpec = {
      graph: {
        nodes: [node('Relu', ['x'], ['y'])],
        inputs: [value('x', [1]), value('', [1])],
        outputs: [value('y', [1])],
      },
    };
    await on(nameless, async (bench) => {
      await expect(cutTensors(bench, [''])).rejects.toMatchObject({ name: 'UsageError', code: 'FEATX_USAGE_TENSOR' });
    });
  });
});

describe('5: functions', () => {
  test('those that the main graph, a body or another function calls stay, with their imports', async () => {
    await on(fixture('05-functions'), async (bench) => {
      const early = await cutTensors(bench, ['a'], { mode: 'list' });
      expect(early.names.functions).toEqual(['Leaky']);
      await expectSameValues(bench, ['a'], early);
      const late = await cutTensors(bench, ['b'], { mode: 'list' });
      expect(late.names.functions).toEqual(['Twice', 'FourTimes', 'Leaky']);
      expect(late.proto.opsetImport?.map(({ domain }) => domain)).toEqual(['', 'featx.test']);
      await expectSameValues(bench, ['b'], late);
      expect((await cutTensors(bench, ['b'], { mode: 'hook', rewrite: false })).names.functions).toEqual([
        'Twice',
        'FourTimes',
        'Unused',
        'Leaky',
      ]);
    });
  });

  test('an overload is a function of its own', async () => {
    await on(fixture('05-overloads'), async (bench) => {
      const result = await cutTensors(bench, ['a'], { mode: 'list' });
      await using model = await openModel(result.path);
      expect(model.functions.map(({ overload }) => overload)).toEqual(['up']);
      await expectSameValues(bench, ['a'], result);
    });
  });

  test('bodies in functions call functions', async () => {
    await on(fixture('05-function-with-bodies'), async (bench) => {
      const result = await cutTensors(bench, ['a'], { mode: 'list' });
      expect(result.names.functions).toEqual(['Twice', 'Pick']);
      await expectSameValues(bench, ['a'], result);
    });
  });

  test('a function overrides the official operator of its name', async () => {
    await on(fixture('05-function-named-as-op'), async (bench) => {
      const result = await cutTensors(bench, ['a'], { mode: 'list' });
      expect(result.names.functions).toEqual(['Softplus']);
      await expectSameValues(bench, ['a'], result);
    });
  });

  test('default attributes that hold graphs call functions', async () => {
    const call = node('Twice', ['p'], ['r'], {}, { domain: 'd' });
    const spec: ModelSpec = {
      irVersion: 9,
      opset: [
        ['', 17],
        ['d', 1],
      ],
      graph: {
        nodes: [node('F', ['x'], ['y'], {}, { domain: 'd' })],
        inputs: [value('x', [1])],
        outputs: [value('y', [1])],
      },
      functions: [
        { name: 'Twice', domain: 'd', inputs: ['p'], outputs: ['q'], nodes: [node('Add', ['p', 'p'], ['q'])] },
        {
          name: 'F',
          domain: 'd',
          inputs: ['p'],
          outputs: ['q'],
          nodes: [node('Neg', ['p'], ['q'])],
          defaults: { branch: { graph: { nodes: [call] } } },
        },
      ],
    };
    await on(spec, async (bench) => expect((await cutTensors(bench, ['y'])).names.functions).toEqual(['Twice', 'F']));
  });
});

describe('6: inputs and initializers', () => {
  test.each(['dict', 'list', 'hook'] as const)(
    'leave through an Identity with a name of its own (%s)',
    async (mode) => {
      await on(fixture('06-plain-backbone'), async (bench) => {
        const result = await cutTensors(bench, ['x', 'fc.bias', 'stem/act'], { mode, rewrite: mode !== 'hook' });
        const outputs = {
          dict: ['0', '1', '2'],
          list: ['x_feature', 'fc.bias_feature', 'stem/act'],
          hook: ['y', 'x_feature', 'fc.bias_feature', 'stem/act'],
        };
        expect(result.names.outputs).toEqual(outputs[mode]);
        expect(result.graph.output?.filter(({ type }) => type?.tensorType?.elemType === 1)).toHaveLength(
          mode === 'hook' ? 3 : 2,
        );
        expect(result.names.inputs).toEqual(['x']);
        await expectSameValues(bench, ['x', 'fc.bias', 'stem/act'], result);
      });
    },
  );

  test('a sparse initializer leaves through an Identity, dense', async () => {
    await on(fixture('11-sparse-initializer'), async (bench) => {
      const result = await cutTensors(bench, ['sparse_weight']);
      expect([result.names.sparse, result.nodes]).toEqual([['sparse_weight'], ['0']]);
      expect(
        Array.from(new Float32Array(((await runFile(result.path, {})).get('0') ?? new Uint8Array(0)).slice().buffer)),
      ).toEqual([1.5, 0, 0, 0, -2, 0, 0, 0, 0.25]);
    });
  });

  test('a model without the default domain gets it', async () => {
    await on(fixture('06-only-other-domains'), async (bench) => {
      const result = await cutTensors(bench, ['a', 'x']);
      expect(result.proto.opsetImport?.map(({ domain, version }) => [domain, Number(version)])).toEqual([
        ['ai.onnx.ml', 3],
        ['', 17],
      ]);
      expect(result.proto.irVersion).toMatchObject({ low: 8 });
      await expectSameValues(bench, ['a', 'x'], result);
      expect((await cutTensors(bench, ['a'], { mode: 'list' })).proto.opsetImport?.map(({ domain }) => domain)).toEqual(
        ['ai.onnx.ml'],
      );
    });
  });

  test.each([
    [2, 7],
    [3, 8],
    [7, 14],
    [11, 22],
  ])('of the version that goes with IR %i', async (irVersion, version) => {
    const spec: ModelSpec = {
      irVersion,
      opset: [['ai.onnx.ml', 1]],
      graph: {
        nodes: [node('Scaler', ['x'], ['y'], {}, { domain: 'ai.onnx.ml' })],
        inputs: [value('x', [1])],
        outputs: [value('y', [1])],
      },
    };
    await on(spec, async (bench) => {
      const { plan } = await cutTensors(bench, ['y']);
      expect(plan.edit.addOpsetImports).toEqual([{ domain: '', version }]);
    });
  });
});

describe('7: one tensor under several names', () => {
  test('a tensor that is asked for twice has one output per index, an Identity for each', async () => {
    await on(fixture('06-plain-backbone'), async (bench) => {
      const result = await cutTensors(bench, ['stem/act', 'stem/act']);
      expect(result.names.outputs).toEqual(['0', '1']);
      expect(result.graph.node?.slice(-2).map(({ opType }) => opType)).toEqual(['Identity', 'Identity']);
      await expectSameValues(bench, ['stem/act', 'stem/act'], result);
      expect((await cutTensors(bench, ['stem/act', 'stem/act'], { mode: 'list' })).names.outputs).toEqual([
        'stem/act',
        'stem/act_feature',
      ]);
    });
  });

  test('a tensor that is an output already stays one output in hook mode', async () => {
    await on(fixture('07-two-outputs'), async (bench) => {
      const result = await cutTensors(bench, ['stem/act', 'layer1/act'], { mode: 'hook', rewrite: false });
      expect(result.names.outputs).toEqual(['y', 'stem/act', 'layer1/act']);
      expect(result.plan.outputs.map(({ output }) => output)).toEqual(['stem/act', 'layer1/act']);
      expect(result.nodes).not.toContain('stem/act_feature');
      await expectSameValues(bench, ['stem/act', 'layer1/act'], result);
      expect(
        (await cutTensors(bench, ['layer1/act', 'stem/act'], { mode: 'list', keepOutputs: true })).names.outputs,
      ).toEqual(['layer1/act', 'stem/act', 'y']);
      expect((await cutTensors(bench, ['stem/act'], { mode: 'dict', keepOutputs: true })).names.outputs).toEqual([
        '0',
        'y',
        'stem/act',
      ]);
    });
  });

  test('inputs and initializers that are outputs stay outputs as they are', async () => {
    await on(fixture('07-output-is-input'), async (bench) => {
      const hook = await cutTensors(bench, ['y', 'x', 'w'], { mode: 'hook', rewrite: false });
      expect([hook.names.outputs, hook.nodes]).toEqual([['y', 'x', 'w'], ['y']]);
      const list = await cutTensors(bench, ['x', 'w'], { mode: 'list' });
      expect([list.names.outputs, list.nodes]).toEqual([
        ['x_feature', 'w_feature'],
        ['x_feature', 'w_feature'],
      ]);
      await expectSameValues(bench, ['x', 'w'], list);
    });
  });

  test('an output that the file lists twice is listed once', async () => {
    const spec: ModelSpec = {
      graph: {
        nodes: [node('Relu', ['x'], ['a']), node('Neg', ['a'], ['y'])],
        inputs: [value('x', [1])],
        outputs: [value('y', [1]), value('y', [1])],
      },
    };
    await on(spec, async (bench) =>
      expect((await cutTensors(bench, ['a'], { mode: 'hook', rewrite: false })).names.outputs).toEqual(['y', 'a']),
    );
  });
});

describe('8: optional and further outputs', () => {
  test('have the type of their position', async () => {
    await on(fixture('08-optional-outputs'), async (bench) => {
      const types = await inferTypes(bench.view, bench.view.producerOf.keys(), { isolate: false });
      const names = ['pooled', 'indices', 'dropped', 'mask', 'hidden', 'cell'];
      expect(names.map((name) => types.types.get(name)?.dtype)).toEqual([
        'float32',
        'int64',
        'float32',
        'bool',
        'float32',
        'float32',
      ]);
      const plan = planRewrite(
        bench.view,
        types.types,
        names.map((name) => tapOf(bench.view, name)),
        { ...DEFAULT_PLAN, mode: 'list' },
      );
      expect(plan.edit.outputs?.map(({ type }) => (type?.kind === 'tensor' ? type.elemType : null))).toEqual([
        1, 7, 1, 9, 1, 1,
      ]);
      const result = await cutTensors(bench, names, { mode: 'list' });
      await expectSameValues(bench, names, result);
    });
  });

  test('an omitted output is no tensor', async () => {
    await on(fixture('08-optional-outputs'), async (bench) => {
      expect(bench.view.producerOf.has('')).toBe(false);
      await expect(cutTensors(bench, [''])).rejects.toMatchObject({ name: 'UsageError' });
    });
  });

  test('running statistics leave with their values', async () => {
    await on(fixture('08-batchnorm-training'), async (bench) => {
      const result = await cutTensors(bench, ['mean', 'variance', 'n'], { mode: 'list' });
      await expectSameValues(bench, ['mean', 'variance', 'n'], result);
    });
  });
});

describe('9: types of new outputs', () => {
  const outputBytes = async ({ model }: Bench, name: string): Promise<Uint8Array> => {
    const info = model.graph.valueInfo.find((each) => each.name === name);
    if (info === undefined) throw new Error(name);
    return model.read({ start: info.field.payload, end: info.field.end });
  };

  test('what the file says is borrowed byte for byte, denotation, documentation and metadata included', async () => {
    await on(fixture('09-all-types'), async (bench) => {
      for (const name of ['stem/act', 'layer1/act']) {
        const bytes = await outputBytes(bench, name);
        const result = await cutTensors(bench, [name], { mode: 'list' });
        expectBorrowed(result, await readFile(bench.path), [bytes]);
        expect(result.names.valueInfo).not.toContain(name);
        // Under another name everything but the name is the same.
        await using model = await openModel((await cutTensors(bench, [name])).bytes);
        const [output] = model.graph.outputs;
        const source = bench.model.graph.valueInfo.find((info) => info.name === name);
        const rest = async (from: typeof model, ranges: readonly { start: number; end: number }[]): Promise<Buffer> =>
          Buffer.concat(await Promise.all(ranges.map((range) => from.read(range))));
        expect(output.name).toBe('0');
        expect(await rest(model, output.rest)).toEqual(await rest(bench.model, source?.rest ?? []));
      }
    });
  });

  test('value_info of what stays stays; of what goes, or says its type as an output, it goes', async () => {
    await on(fixture('09-all-types'), async (bench) => {
      expect((await cutTensors(bench, ['layer1/conv'], { mode: 'list' })).names.valueInfo).toEqual([
        'stem/conv',
        'stem/act',
      ]);
      expect((await cutTensors(bench, ['layer1/conv'], { mode: 'hook', rewrite: false })).names.valueInfo).toEqual([
        'stem/conv',
        'stem/act',
        'layer1/act',
        'pool',
        'flat',
      ]);
    });
  });

  test('without evidence only the name is written, and said', async () => {
    await on(fixture('06-plain-backbone'), async (bench) => {
      const result = await cutTensors(bench, ['layer1/act'], { mode: 'list' });
      expect(result.graph.output?.[0]).toMatchObject({ name: 'layer1/act', type: null });
      expect(result.plan.warnings).toEqual([
        "the type of the output 'layer1/act' is not known; only its name is written",
      ]);
      await expectSameValues(bench, ['layer1/act'], result);
    });
  });

  test('an unknown rank is left out, a scalar has an empty shape, symbols and unknown dims stay', async () => {
    await on(fixture('06-plain-backbone'), async (bench) => {
      const written = async (
        dtype: string | null,
        shape: readonly (number | string | null)[] | null,
      ): Promise<onnx.ITypeProto | null | undefined> => {
        const types = new Map([['flat', { dtype, shape }]]);
        const plan = planRewrite(bench.view, types, [tapOf(bench.view, 'flat')], { ...DEFAULT_PLAN, mode: 'list' });
        return plan.edit.outputs?.[0].type === undefined ? null : (plan.edit.outputs[0].type as onnx.ITypeProto);
      };
      expect(await written('float32', null)).toEqual({ kind: 'tensor', elemType: 1, shape: null });
      expect(await written('bfloat16', [])).toEqual({ kind: 'tensor', elemType: 16, shape: [] });
      expect(await written('int4', ['N', null, 3])).toEqual({ kind: 'tensor', elemType: 22, shape: ['N', null, 3] });
      expect(await written(null, [1])).toBeNull();
      expect(await written('unheard-of', [1])).toBeNull();
    });
  });

  test('a declaration without an element type is no evidence', async () => {
    const spec: ModelSpec = {
      graph: {
        nodes: [node('Relu', ['x'], ['a']), node('Neg', ['a'], ['y'])],
        inputs: [value('x', [1])],
        outputs: [value('y', [1])],
        valueInfo: [{ name: 'a', type: { opaque: 'unset', extra: [bytes(1, Uint8Array.of(8, 0))] } }],
      },
    };
    await on(spec, async (bench) => {
      const plan = planRewrite(
        bench.view,
        new Map([['a', { dtype: 'float32', shape: [1] }]]),
        [tapOf(bench.view, 'a')],
        DEFAULT_PLAN,
      );
      expect(plan.edit.outputs).toEqual([
        { name: 'a', borrow: null, type: { kind: 'tensor', elemType: 1, shape: [1] } },
      ]);
    });
  });

  test('partial declarations are borrowed as they are', async () => {
    await on(fixture('09-partial-types'), async (bench) => {
      const result = await cutTensors(bench, ['a', 'b', 'm', 'c'], { mode: 'list' });
      await using model = await openModel(result.bytes);
      await expectSameValues(bench, ['a', 'b', 'm', 'c'], result);
      for (const output of model.graph.outputs) {
        const declared = bench.model.graph.valueInfo.find(({ name, type }) => name === output.name && type !== null);
        if (declared !== undefined) expect(output.type).toEqual(declared.type);
      }
    });
  });

  test('sequences, optionals and maps keep their types', async () => {
    await on(fixture('09-sequence-and-optional'), async (bench) => {
      await using model = await openModel((await cutTensors(bench, ['parts', 'maybe'], { mode: 'list' })).bytes);
      expect(model.graph.outputs.map(({ type }) => type?.kind)).toEqual(['sequence', 'optional']);
    });
    await on(fixture('09-map'), async (bench) => {
      await using model = await openModel(
        (await cutTensors(bench, ['scores', 'p'], { mode: 'list', keepOutputs: true })).bytes,
      );
      expect(model.graph.outputs.map(({ name, type }) => [name, type?.kind])).toEqual([
        ['scores', 'sequence'],
        ['p', undefined],
      ]);
    });
  });

  test('a sequence that has no declaration leaves with the type that is inferred', async () => {
    const spec: ModelSpec = {
      graph: {
        nodes: [node('SequenceConstruct', ['x'], ['s']), node('SequenceLength', ['s'], ['y'])],
        inputs: [value('x', [1])],
        outputs: [value('y', [], 'int64')],
      },
    };
    await on(spec, async (bench) => {
      const types = await inferTypes(bench.view, ['s'], { isolate: false });
      const plan = planRewrite(bench.view, types.types, [tapOf(bench.view, 's')], { ...DEFAULT_PLAN, mode: 'list' });
      const element = { kind: 'tensor', elemType: 1, shape: [1] };
      expect(plan.edit.outputs).toEqual([{ name: 's', borrow: null, type: { kind: 'sequence', element } }]);
      expect(plan.warnings).toEqual([]);
    });
  });
});

describe('10: inputs', () => {
  test('those that nothing needs are dropped when pruning and kept by hooks', async () => {
    await on(fixture('10-unused-inputs'), async (bench) => {
      expect((await cutTensors(bench, ['stem/act'])).names.inputs).toEqual(['x']);
      expect((await cutTensors(bench, ['gated'])).names.inputs).toEqual(['x', 'gate']);
      expect((await cutTensors(bench, ['stem/act'], { mode: 'hook', rewrite: false })).names.inputs).toEqual([
        'x',
        'gate',
        'spare',
      ]);
      expect((await cutTensors(bench, ['stem/act'], { mode: 'hook', keepOutputs: true })).names.inputs).toEqual([
        'x',
        'gate',
      ]);
    });
  });

  test.each(['10-ir3-initializers-as-inputs', '10-overridable-initializer'])(
    '%s: what is input and initializer stays both or neither',
    async (name) => {
      await on(fixture(name), async (bench) => {
        for (const tapped of ['stem/act', 'y']) {
          const result = await cutTensors(bench, [tapped]);
          const both = bench.model.graph.inputs
            .map((input) => input.name)
            .filter((input) => bench.view.initializers.has(input));
          for (const input of both)
            expect(result.names.inputs.includes(input)).toBe(result.names.initializers.includes(input));
          await expectSameValues(bench, [tapped], result);
        }
        expect((await cutTensors(bench, ['stem/act'])).names.initializers).toEqual(['stem.weight']);
      });
    },
  );
});

describe('11: annotations, training, devices', () => {
  test('a sparse initializer stays where it is read and goes where it is not', async () => {
    await on(fixture('11-sparse-initializer'), async (bench) => {
      const result = await cutTensors(bench, ['a']);
      expect(result.names.sparse).toEqual(['sparse_weight']);
      await expectSameValues(bench, ['a'], result);
      expect((await cutTensors(bench, ['x'])).names.sparse).toEqual([]);
    });
  });

  test('annotations of what stays keep the scales and zero points they name', async () => {
    await on(fixture('11-quantization-annotation'), async (bench) => {
      const result = await cutTensors(bench, ['layer1/act']);
      expect(result.names.annotations).toEqual(['stem/act']);
      expect(result.names.initializers).toEqual(['stem.weight', 'layer1.weight', 'act.scale', 'act.zero_point']);
      expect((await cutTensors(bench, ['stem/conv'])).names.annotations).toEqual([]);
    });
  });

  test('a scale that a node makes stays, with what it needs', async () => {
    const spec: ModelSpec = {
      graph: {
        nodes: [node('Relu', ['x'], ['a']), node('Abs', ['raw'], ['scale']), node('Neg', ['a'], ['y'])],
        initializers: [tensor('raw', [], [0.5]), tensor('other', [], [1])],
        inputs: [value('x', [1])],
        outputs: [value('y', [1])],
        annotations: [
          ['a', [['SCALE_TENSOR', 'scale']]],
          ['a', [['ZERO_POINT_TENSOR', 'gone']]],
          ['scale', [['SCALE_TENSOR', 'scale']]],
        ],
      },
    };
    await on(spec, async (bench) => {
      const result = await cutTensors(bench, ['a'], { mode: 'list' });
      expect([result.nodes, result.names.initializers, result.names.annotations]).toEqual([
        ['a', 'scale'],
        ['raw'],
        ['a', 'a', 'scale'],
      ]);
    });
  });

  test('training_info is dropped with a warning, and kept by hooks', async () => {
    await on(fixture('11-training-info'), async (bench) => {
      const result = await cutTensors(bench, ['stem/act']);
      expect(result.proto.trainingInfo).toEqual([]);
      expect(result.plan.warnings).toContain('training_info is dropped: it refers to tensors that the cut leaves out');
      const hook = await cutTensors(bench, ['stem/act'], { mode: 'hook', rewrite: false });
      expectBorrowed(hook, await readFile(bench.path), [await bench.model.read(bench.model.trainingInfo[0].field)]);
      expect(hook.plan.warnings).not.toContain(expect.stringContaining('training_info'));
    });
  });

  test('device configurations stay', async () => {
    await on(fixture('11-device-configuration'), async (bench) => {
      const configuration = bench.model.modelFields.filter(({ number }) => number === 26);
      expect(configuration).toHaveLength(1);
      expectBorrowed(await cutTensors(bench, ['stem/act']), await readFile(bench.path), [
        await bench.model.read(configuration[0]),
      ]);
    });
  });
});

describe('12: external data', () => {
  test.each(['12-external', '12-external-everywhere'])(
    '%s: kept as references beside the model, without opening them',
    async (name) => {
      await on(fixture(name), async (bench) => {
        const target = name === '12-external' ? 'layer1/act' : 'b';
        const result = await cutTensors(bench, [target]);
        await expectSameValues(bench, [target], result);
        await writeFile(join(dirname(bench.path), `${name}.data`), '');
        expect(Buffer.compare((await cutTensors(bench, [target])).bytes, result.bytes)).toBe(0);
      });
    },
  );

  test.each(['embed', 'external'] as const)(
    '12-external-everywhere: %s finds it in constants, bodies and functions',
    async (mode) => {
      await on(fixture('12-external-everywhere'), async (bench) => {
        const result = await cutTensors(bench, ['b'], {}, mode);
        await writeFile(
          join(dirname(bench.path), '12-external-everywhere.moved'),
          await readFile(join(dirname(bench.path), '12-external-everywhere.data')),
        );
        const { got, want } = await runBoth(bench, ['b'], result);
        await writeFile(join(dirname(bench.path), '12-external-everywhere.data'), '');
        expect(got).toEqual(want);
        expect(await runFile(result.path, feedsFor(bench.model))).toEqual(want);
      });
    },
  );
});

describe('13: order and names', () => {
  test('nodes out of order keep their order, with a warning', async () => {
    await on(fixture('13-unsorted'), async (bench) => {
      const result = await cutTensors(bench, ['layer1/act'], { mode: 'list' });
      expect(result.nodes).toEqual(['layer1/act', 'layer1/conv', 'stem/act', 'stem/conv']);
      expect(result.plan.warnings).toContain(
        'the nodes of this model are not in topological order; their order is kept',
      );
      await expectSameValues(bench, ['layer1/act'], result);
    });
  });

  test('names with anything in them come back as they are', async () => {
    await on(fixture('13-odd-names'), async (bench) => {
      const names = [...bench.view.producerOf.keys()];
      const result = await cutTensors(bench, names, { mode: 'list' });
      expect(result.names.outputs).toEqual(names);
      await expectSameValues(bench, names, result);
    });
  });

  test('names that differ in a byte that is not UTF-8 are two', async () => {
    await on(fixture('13-names-not-utf8'), async (bench) => {
      const result = await cutTensors(bench, ['a\udcfe', 'nul\0l'], { mode: 'list' });
      await using model = await openModel(result.bytes);
      expect(model.graph.outputs.map(({ name }) => name)).toEqual(['a\udcfe', 'nul\0l']);
      expect((await cutTensors(bench, ['a\udcfe'])).nodes).toHaveLength(2);
      const feeds = feedsFor(bench.model);
      const [got, want] = [
        await runFile((await cutTensors(bench, ['nul\0l'])).path, feeds),
        await runFile(bench.path, feeds),
      ];
      // The model's own output is the magnitude of that tensor.
      const floats = (bytes: Uint8Array | undefined): Float32Array =>
        new Float32Array((bytes ?? new Uint8Array(0)).slice().buffer);
      expect(floats(got.get('0')).map(Math.abs)).toEqual(floats(want.get('y')));
    });
  });

  test('nodes of one name are told apart', async () => {
    await on(fixture('13-repeated-node-names'), async (bench) =>
      expect((await cutTensors(bench, ['a'], { mode: 'list' })).nodes).toEqual(['a']),
    );
  });

  test.each([
    [
      'two makers',
      { nodes: [node('Relu', ['x'], ['a']), node('Neg', ['x'], ['a'])] },
      'FEATX_GRAPH_DUPLICATE',
      "'a' is defined twice",
    ],
    [
      'a cycle',
      { nodes: [node('Add', ['x', 'b'], ['a']), node('Relu', ['a'], ['b'])] },
      'FEATX_GRAPH_CYCLE',
      'node[0] Add <- node[1] Relu <- node[0] Add',
    ],
    [
      'nobody makes it',
      { nodes: [node('Add', ['x', 'ghost'], ['a'])] },
      'FEATX_GRAPH_MISSING_TENSOR',
      "'ghost' (read by node[0] Add)",
    ],
  ])('%s is an error that names it', async (_what, graph, code, message) => {
    await expect(
      on({ graph: { inputs: [value('x', [1])], outputs: [value('a', [1])], ...graph } }, async () => undefined),
    ).rejects.toMatchObject({ name: 'ModelFormatError', code, message: expect.stringContaining(message) });
  });
});

describe('14: the wire', () => {
  const WIRE = [
    '14-reversed-fields',
    '14-shuffled-fields',
    '14-split-graph',
    '14-unpacked',
    '14-overlong-varints',
    '14-unknown-fields',
  ];

  test.each(WIRE)('%s: cuts and hooks compute the same', async (name) => {
    await on(fixture(name), async (bench) => {
      for (const options of [
        { mode: 'dict' },
        { mode: 'hook', rewrite: false },
        { mode: 'list', keepOutputs: true },
      ] as const) {
        const result = await cutTensors(bench, ['stem/act', 'layer1/act'], options);
        await expectSameValues(bench, ['stem/act', 'layer1/act'], result);
        viewGraph(await openModel(result.bytes));
      }
    });
  });

  test('unknown fields of every kind survive in the model, the graph and what is kept of it', async () => {
    await on(fixture('14-unknown-fields'), async (bench) => {
      const { model } = bench;
      const known = {
        model: new Set([1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26]),
        graph: new Set([1, 2, 5, 10, 11, 12, 13, 14, 15, 16]),
      };
      const unknown = [
        ...model.modelFields.filter(({ number }) => !known.model.has(number)),
        ...model.graphFields.filter(({ number }) => !known.graph.has(number)),
      ];
      expect(unknown.length).toBeGreaterThan(5);
      const kept = [
        model.graph.nodes[0].field,
        model.graph.nodes[1].field,
        model.graph.initializers[0].parts[0],
        model.graph.inputs[0].field,
        model.opsetImports[0].field,
      ];
      const messages = await Promise.all([...unknown, ...kept].map((field) => model.read(field)));
      expectBorrowed(await cutTensors(bench, ['stem/act']), await readFile(bench.path), messages);
      expectBorrowed(
        await cutTensors(bench, ['stem/act'], {}, 'external'),
        await readFile(bench.path),
        await Promise.all(unknown.map((field) => model.read(field))),
      );
    });
  });

  test('integers beyond 2^53 pass through', async () => {
    await on(fixture('14-large-integers'), async (bench) => {
      const result = await cutTensors(bench, ['k']);
      expectBorrowed(result, await readFile(bench.path), [await nodeBytes(bench, 'Constant')]);
    });
  });

  test('a result that no reader could load is refused, with the remedy', () => {
    const limit = 2 ** 31 - 1;
    expect(() => assertLoadable([{ start: 0, end: limit }])).not.toThrow();
    expect(() => assertLoadable([{ start: 0, end: limit }, new Uint8Array(1)])).toThrow(
      expect.objectContaining({
        name: 'PolicyError',
        code: 'FEATX_LIMIT_MODEL',
        hint: expect.stringContaining("`weights: 'external'`"),
      }),
    );
  });
});

describe('15: equivalence', () => {
  test('symbolic dims, strings, NaN: what leaves is what the whole model computes', async () => {
    await on(fixture('15-dynamic-shapes'), async (bench) => {
      const names = [...bench.view.producerOf.keys()];
      const feeds = { x: new ort.Tensor('float32', seededFloats(2 * 3 * 9 * 7, 3), [2, 3, 9, 7]) };
      const hook = await cutTensors(bench, names, { mode: 'hook', rewrite: false });
      const whole = await runFile(hook.path, feeds);
      const list = await runFile((await cutTensors(bench, names, { mode: 'list' })).path, feeds);
      expect([...list.keys()]).toEqual(names);
      for (const name of names)
        expect([name, Buffer.from(list.get(name) ?? [])]).toEqual([name, Buffer.from(whole.get(name) ?? [])]);
    });
    await on(fixture('15-random-and-nan'), async (bench) => {
      const names = ['nan', 'b', 'c', 'text'];
      const result = await cutTensors(bench, names, { mode: 'list' });
      expect(result.nodes).not.toContain('noise');
      await expectSameValues(bench, names, result);
    });
  });

  test('a model of nothing but taps of inputs', async () => {
    const spec: ModelSpec = {
      graph: {
        nodes: [node('Relu', ['x'], ['y'])],
        inputs: [value('x', [2, 'N'])],
        outputs: [value('y', [2, 'N'])],
        initializers: [weights('unused', [4], 1)],
      },
    };
    await on(spec, async (bench) => {
      const result = await cutTensors(bench, ['x']);
      expect([result.nodes, result.names.inputs, result.names.initializers]).toEqual([['0'], ['x'], []]);
      expect(result.graph.output?.[0].type?.tensorType?.shape?.dim?.map(({ dimParam }) => dimParam)).toEqual([
        null,
        'N',
      ]);
      await expectSameValues(bench, ['x'], result);
    });
  });

  test('IR version and opset imports are never changed', async () => {
    await on(fixture('rich'), async (bench) => {
      const result = await cutTensors(bench, ['b'], { mode: 'list' });
      await using model = await openModel(result.bytes);
      expect([model.irVersion, model.opsetImports.map(({ domain, version }) => [domain, version])]).toEqual([
        11,
        [
          ['', 21],
          ['featx.test', 1],
          ['ai.onnx.ml', 3],
        ],
      ]);
      expect(model.graph.nodes.map(({ opType }) => opType)).toEqual(['Add', 'Twice']);
    });
  });
});
