import { CountingSource, SparseSource } from '../testing/counting-source.js';
import { node } from '../testing/model-spec.js';
import { encodeModel, nodeMessage } from '../testing/model-builder.js';
import { bytes, int, join, message, tag, varint, type RawField } from '../testing/wire-writer.js';
import { BufferSource } from '../wire/source.js';
import { indexModel } from './model.js';
import type { OnnxModel } from './records.js';

const MB = 1024 * 1024;

interface Layout {
  /** Bytes that stand after a payload of `skip` zeros. */
  readonly bytes: Uint8Array;
  readonly skip: number;
}

/** A message that holds payloads of zeros nobody allocates: fresh bytes, then so many zeros, and so on. */
function sparse(parts: readonly Layout[]): SparseSource {
  let at = 0;
  const placed = parts.map(({ bytes: content, skip }) => {
    const part = { at, bytes: content };
    at += content.length + skip;
    return part;
  });
  return new SparseSource(at, placed);
}

/** The header of a length-delimited field whose content is elsewhere. */
function header(number: number, length: number): Uint8Array {
  return join(tag(number, 2), varint(length));
}

/** A file whose graph holds `count` initializers of `size` bytes each, its nodes behind them. */
function weighty(count: number, size: number, valueField: number, nodes: readonly RawField[]): SparseSource {
  const tensors = Array.from({ length: count }, (_, index) => {
    const before = message([int(1, size / 4), int(2, 1)]);
    const after = message([bytes(8, `weight_${index}`)]);
    const values = header(valueField, size);
    const content = before.length + values.length + size + after.length;
    return { open: join(header(5, content), before, values), after, length: header(5, content).length + content };
  });
  const tail = message(nodes);
  const graphLength = tensors.reduce((sum, { length }) => sum + length, tail.length);
  const parts: Layout[] = [];
  let pending: Uint8Array = join(int(1, 8).bytes, header(7, graphLength));
  for (const { open, after } of tensors) {
    parts.push({ bytes: join(pending, open), skip: size });
    pending = after;
  }
  return sparse([...parts, { bytes: join(pending, tail, bytes(8, message([int(2, 17)])).bytes), skip: 0 }]);
}

async function indexed(source: SparseSource): Promise<{ model: OnnxModel; counting: CountingSource }> {
  const counting = new CountingSource(source);
  return { model: await indexModel(counting), counting };
}

const relu = [bytes(1, nodeMessage(node('Relu', ['weight_0'], ['y'])))];

test.each([
  ['raw_data', 9],
  ['packed float_data', 4],
])('100 MB of %s: only what stands between the payloads is read', async (_what, field) => {
  const { model, counting } = await indexed(weighty(10, 10 * MB, field, relu));
  expect(model.graph.initializers.map(({ name }) => name)).toEqual(
    Array.from({ length: 10 }, (_, index) => `weight_${index}`),
  );
  expect(model.graph.initializers[3].payloads).toMatchObject([{ fieldNumber: field, contiguous: true }]);
  expect(model.graph.nodes[0].opType).toBe('Relu');
  expect(counting.bytesRead).toBeLessThan(256 * 1024);
  const [
    {
      payloads: [payload],
    },
  ] = model.graph.initializers;
  expect(payload.end - payload.start).toBe(10 * MB);
  expect(model.resident(payload)).toBeNull();
});

test('a file over 4 GiB: offsets stay exact', async () => {
  const { model, counting } = await indexed(weighty(3, 2 * 1024 * MB, 9, relu));
  expect(model.source.size).toBeGreaterThan(6 * 1024 * MB);
  expect(model.graph.nodes).toMatchObject([{ opType: 'Relu', inputs: ['weight_0'] }]);
  expect(model.graph.nodes[0].field.start).toBeGreaterThan(6 * 1024 * MB);
  expect(model.opsetImports).toMatchObject([{ version: 17 }]);
  expect(counting.bytesRead).toBeLessThan(200 * 1024);
});

test('a payload in a Constant, in a body, in a sparse tensor and in an unknown field is stepped over too', async () => {
  const size = 30 * MB;
  const open = (field: number, inner: number): { head: Uint8Array; length: number } => {
    const values = header(inner, size);
    return {
      head: join(header(field, values.length + size), values),
      length: header(field, values.length + size).length + values.length + size,
    };
  };
  const inTensor = open(5, 9);
  const attribute = join(header(5, inTensor.length), inTensor.head);
  const constant = join(header(1, header(5, inTensor.length).length + inTensor.length), attribute);
  const constantLength = constant.length + size;
  const inValues = open(1, 9);
  const sparseInitializer = join(header(15, inValues.length), inValues.head);
  const unknown = header(9001, size);
  const tail = message(relu);
  const graphLength = constantLength + sparseInitializer.length + size + unknown.length + size + tail.length;
  const source = sparse([
    { bytes: join(header(7, graphLength), constant), skip: size },
    { bytes: sparseInitializer, skip: size },
    { bytes: unknown, skip: size },
    { bytes: tail, skip: 0 },
  ]);
  const { model, counting } = await indexed(source);
  expect(model.graph.nodes.map(({ opType }) => opType)).toEqual(['', 'Relu']);
  expect(model.graph.nodes[0].attributes[0].tensors[0]).toMatchObject({
    place: 'graph.node[0].attribute[0].t',
    payloads: [{ fieldNumber: 9 }],
  });
  expect(model.graph.sparseInitializers[0].values?.payloads).toHaveLength(1);
  expect(model.graphFields.map(({ number }) => number)).toEqual([1, 15, 9001, 1]);
  expect(counting.bytesRead).toBeLessThan(128 * 1024);
});

test('small payloads and node metadata stay in memory, wherever the windows end', async () => {
  const nodes = Array.from({ length: 4000 }, (_, index) =>
    node(
      'Constant',
      [],
      [`c${index}`],
      { value: { tensor: { dims: [20], data: new Uint8Array(80).fill(index & 255) } } },
      { metadata: [['scope', `layer.${index}`]] },
    ),
  );
  const counting = new CountingSource(new BufferSource(encodeModel({ graph: { nodes } })));
  const model = await indexModel(counting);
  const reads = counting.reads.length;
  expect(reads).toBeLessThan(10);
  model.graph.nodes.forEach(({ attributes, metadata }, index) => {
    const [
      {
        payloads: [payload],
      },
    ] = attributes[0].tensors;
    expect(model.resident(payload)?.every((byte) => byte === (index & 255))).toBe(true);
    expect(new TextDecoder().decode(model.resident(metadata[0]) ?? undefined)).toContain(`layer.${index}`);
  });
  await model.read(model.graph.nodes[5].field);
  expect(counting.reads).toHaveLength(reads);
});

test('what was skipped can be read when asked for', async () => {
  const { model } = await indexed(weighty(2, MB, 9, relu));
  const [
    {
      payloads: [payload],
    },
  ] = model.graph.initializers;
  expect(await model.read({ start: payload.end - 4, end: payload.end })).toEqual(new Uint8Array(4));
  expect(
    await model.text({
      start: model.graph.initializers[0].parts[0].end - 8,
      end: model.graph.initializers[0].parts[0].end,
    }),
  ).toBe('weight_0');
});

test('every size of a payload around the limits of a window', async () => {
  for (const size of [4092, 4096, 4100, 8192, 64 * 1024 - 100, 64 * 1024, 64 * 1024 + 4]) {
    const { model } = await indexed(weighty(40, size, 9, relu));
    expect(model.graph.initializers.map(({ name, payloads: [{ start, end }] }) => [name, end - start])).toEqual(
      Array.from({ length: 40 }, (_, index) => [`weight_${index}`, size]),
    );
    expect(model.graph.nodes).toHaveLength(1);
  }
});
