import * as ort from 'onnxruntime-node';
import { extractBytes } from '../in-memory.js';
import { viewGraph } from '../onnx/graph.js';
import { indexModel } from '../onnx/model.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, type DataType } from '../testing/model-spec.js';
import { verifyViews } from '../verify.js';

/** `t` holds x in a type that no runtime gives back; `y` is made of it. */
function keeping(type: DataType): Uint8Array {
  const codes = type.endsWith('int4');
  return encodeModel({
    irVersion: 10,
    opset: 21,
    graph: {
      nodes: codes
        ? [node('QuantizeLinear', ['x', 's', 'z'], ['t']), node('DequantizeLinear', ['t', 's', 'z'], ['y'])]
        : [
            node('Cast', ['x'], ['t'], {
              to: { int: { bfloat16: 16, float8e4m3fn: 17, float8e5m2: 19 }[type as 'bfloat16'] },
            }),
            node('Cast', ['t'], ['y'], { to: { int: 1 } }),
          ],
      initializers: codes ? [tensor('s', [], [0.5]), tensor('z', [], Uint8Array.of(0), type)] : [],
      inputs: [value('x', ['n', 3])],
      outputs: [value('y', ['n', 3])],
      valueInfo: [value('t', ['n', 3], type)],
    },
  });
}

const X = Float32Array.of(0, 1, 2, 3, 0.5, 1.5);

test.each([
  ['int4', [0, 2, 4, 6, 1, 3]],
  ['uint4', [0, 2, 4, 6, 1, 3]],
  ['bfloat16', Array.from(X)],
  ['float8e4m3fn', Array.from(X)],
  ['float8e5m2', Array.from(X)],
] as const)('%s leaves as float32, which a runtime gives back', async (type, want) => {
  const model = keeping(type);
  const { bytes, report } = await extractBytes(model, { select: [{ by: 'tensor', name: 't' }] });
  expect(report.features).toEqual([
    expect.objectContaining({
      tensor: 't',
      output: 't_float32',
      dtype: 'float32',
      stored: expect.objectContaining({ dtype: type }),
    }),
  ]);
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4 });
  const results = await session.run({ x: new ort.Tensor('float32', X, [2, 3]) });
  await session.release();
  expect(Array.from(results['t_float32'].data as Float32Array)).toEqual(want);
  const view = async (of: Uint8Array): Promise<ReturnType<typeof viewGraph>> => viewGraph(await indexModel(of));
  expect((await verifyViews(await view(model), await view(bytes))).equal).toBe(true);
});

test('as it is, where codes are asked for, with a warning', async () => {
  const { report } = await extractBytes(keeping('int4'), { select: [{ by: 'tensor', name: 't' }], codes: true });
  expect(report.features[0]).toMatchObject({ output: 't', dtype: 'int4' });
  expect(report.warnings).toContainEqual(expect.stringContaining("'t' leaves as int4"));
});

test('codes as numbers say what they were', async () => {
  const { report } = await extractBytes(keeping('int4'), { select: [{ by: 'tensor', name: 't' }], codes: false });
  expect(report.features[0]).toMatchObject({ tensor: 'y', dtype: 'float32' });
});
