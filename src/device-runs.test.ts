import type { TensorValue } from './onnx/tensor-value.js';
import { DeviceRuns, type BatchRunner } from './device-runs.js';
import { RuntimeError } from './errors.js';
import { runFailed } from './runtime/open-session.js';
import { FeatureRunner } from './runner.js';
import { encodeModel } from './testing/model-builder.js';
import { node, value } from './testing/model-spec.js';

const model = encodeModel({
  graph: {
    inputs: [value('x', ['n', 2]), value('scale', [1])],
    outputs: [value('y', ['n', 2]), value('turned', [2, 'n'])],
    nodes: [node('Mul', ['x', 'scale'], ['y']), node('Transpose', ['y'], ['turned'], { perm: { ints: [1, 0] } })],
  },
});

/** A device whose memory holds so many entries, and whose session fails for ever once it was full. */
class SmallDevice implements BatchRunner {
  readonly sizes: number[] = [];
  state: 'good' | 'broken' | 'closed' = 'good';

  constructor(
    private readonly runner: FeatureRunner,
    private readonly capacity: number,
  ) {}

  async run(feeds: ReadonlyMap<string, TensorValue>): Promise<ReadonlyMap<string, TensorValue>> {
    const rows = feeds.get('x')?.shape[0] ?? 0;
    this.sizes.push(rows);
    if (this.state !== 'good') throw new RuntimeError(`the session is ${this.state}`, { code: 'FEATX_RUNTIME_CLOSED' });
    if (rows > this.capacity) {
      this.state = 'broken';
      throw runFailed('m.onnx', 'cuda', new Error('CUDA failure 2: out of memory ; GPU=0'));
    }
    return this.runner.run(feeds);
  }

  recycle(results: ReadonlyMap<string, TensorValue>): void {
    this.runner.recycle(results);
  }

  async close(): Promise<void> {
    this.state = 'closed';
  }
}

function batch(
  size: number,
  first: number,
): { readonly size: number; readonly feeds: ReadonlyMap<string, TensorValue> } {
  const x = Float32Array.from({ length: size * 2 }, (_value, index) => first + index);
  return {
    size,
    feeds: new Map<string, TensorValue>([
      ['x', { dtype: 'float32', shape: [size, 2], data: x }],
      ['scale', { dtype: 'float32', shape: [1], data: Float32Array.of(10) }],
    ]),
  };
}

async function onDevice(
  capacity: number,
  options: { readonly isFixed?: boolean; readonly named?: readonly string[] },
  work: (device: DeviceRuns<SmallDevice>, opened: readonly SmallDevice[]) => Promise<void>,
): Promise<void> {
  const named = (options.named ?? ['y']).map((name) => ({ by: 'tensor' as const, name }));
  await using runner = await FeatureRunner.open(model, { select: named });
  const opened: SmallDevice[] = [];
  const reopen = async (): Promise<SmallDevice> => {
    const device = new SmallDevice(runner, capacity);
    opened.push(device);
    return device;
  };
  await using device = new DeviceRuns(await reopen(), {
    reopen,
    batched: new Set(['x']),
    joinings: new Map([['y', { kind: 'along', axis: 0 } as const]]),
    isFixed: options.isFixed ?? false,
  });
  await work(device, opened);
}

const values = (results: ReadonlyMap<string, TensorValue>): unknown => results.get('y');
const expected = (size: number, first: number): TensorValue => ({
  dtype: 'float32',
  shape: [size, 2],
  data: Float32Array.from({ length: size * 2 }, (_value, index) => 10 * (first + index)),
});

test('a batch that the device cannot hold runs in halves, each failure in a fresh session, and later batches are cut at once', async () => {
  await onDevice(3, {}, async (device, opened) => {
    expect(values(await device.run(batch(8, 1)))).toEqual(expected(8, 1));
    expect(opened.map(({ sizes, state }) => [sizes, state])).toEqual([
      [[8], 'closed'],
      [[4], 'closed'],
      [[2, 2, 2, 2], 'good'],
    ]);
    expect(values(await device.run(batch(5, 100)))).toEqual(expected(5, 100));
    expect(opened[2].sizes.slice(4)).toEqual([2, 2, 1]);
    expect(device.warnings).toEqual(['the memory of the device held 2 entries at once: batches were run in parts']);
  });
});

test('runs that wait for each other survive the failure of the first', async () => {
  await onDevice(4, {}, async (device, opened) => {
    const results = await Promise.all([device.run(batch(8, 1)), device.run(batch(8, 50)), device.run(batch(3, 7))]);
    expect(results.map(values)).toEqual([expected(8, 1), expected(8, 50), expected(3, 7)]);
    expect(opened).toHaveLength(2);
  });
});

test('what fits is run as it is', async () => {
  await onDevice(8, {}, async (device, opened) => {
    expect(values(await device.run(batch(8, 1)))).toEqual(expected(8, 1));
    expect(opened.map(({ sizes }) => sizes)).toEqual([[8]]);
    expect(device.warnings).toEqual([]);
  });
});

test.each<
  readonly [
    string,
    number,
    { readonly isFixed?: boolean; readonly named?: readonly string[] },
    { readonly code: string },
  ]
>([
  ['one entry that does not fit', 0, {}, { code: 'FEATX_DEVICE_MEMORY' }],
  ['a model that takes batches of one size', 4, { isFixed: true }, { code: 'FEATX_DEVICE_MEMORY' }],
  ['a feature that is no list of entries', 4, { named: ['turned'] }, { code: 'FEATX_USAGE_BATCH' }],
])('%s is an error', async (_case, capacity, options, error) => {
  await onDevice(capacity, options, async (device) => {
    await expect(device.run(batch(8, 1))).rejects.toMatchObject(error);
  });
});

test('a lost device is no lack of memory, and a lack of memory without a device is not the device', () => {
  expect(runFailed('m.onnx', 'cuda', new Error('CUDA failure 719: unspecified launch failure'))).toMatchObject({
    code: 'FEATX_DEVICE',
    message: expect.stringContaining('on cuda'),
  });
  expect(
    runFailed(
      'm.onnx',
      'cuda',
      new Error('BFCArena: Failed to allocate memory for requested buffer of size 4294967296'),
    ),
  ).toMatchObject({ code: 'FEATX_DEVICE_MEMORY', hint: expect.stringContaining('`batchSize`') });
  expect(runFailed('m.onnx', 'cpu', new Error('bad allocation'))).toMatchObject({
    code: 'FEATX_RUNTIME',
    hint: expect.stringContaining('`batchSize`'),
  });
});
