import { IoError, PolicyError } from '../errors.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value, weights, type ModelSpec } from '../testing/model-spec.js';
import { CountingSource } from '../testing/counting-source.js';
import { BufferSource } from '../wire/source.js';
import type { SidecarFiles } from './external-data.js';
import { assertReference, fingerprint, referenceOf, REFERENCE_KEY } from './fingerprint.js';
import { indexModel } from './model.js';

const spec: ModelSpec = {
  graph: {
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    initializers: [weights('w', [64, 64], 1), weights('small', [4], 2)],
    inputs: [value('x', [1, 64])],
    outputs: [value('y', [1, 64])],
  },
};
const original = encodeModel(spec);

async function digest(file: Uint8Array): Promise<string> {
  return fingerprint(await indexModel(file));
}

/** A folder of files in memory. */
function folder(files: Readonly<Record<string, Uint8Array>>): SidecarFiles {
  return {
    open: async (location) => {
      const bytes = files[location];
      if (bytes === undefined) throw new IoError(`no ${location}`);
      return new BufferSource(bytes, location);
    },
    close: async () => undefined,
  };
}

async function cut(record: unknown): Promise<Awaited<ReturnType<typeof indexModel>>> {
  return indexModel(
    encodeModel({
      metadata: [
        ['other', '{}'],
        [REFERENCE_KEY, typeof record === 'string' ? record : JSON.stringify(record)],
      ],
      graph: {},
    }),
  );
}

test('the same bytes, the same digest; any byte of the graph or of a small tensor, another', async () => {
  const first = await digest(original);
  expect(first).toMatch(/^[0-9a-f]{64}$/);
  expect(await digest(original.slice())).toBe(first);
  expect(await digest(encodeModel({ ...spec, doc: 'more' }))).not.toBe(first);
  expect(
    await digest(
      encodeModel({
        ...spec,
        graph: { ...spec.graph, initializers: [weights('w', [64, 64], 1), weights('small', [4], 3)] },
      }),
    ),
  ).not.toBe(first);
});

test('weights overwritten as a whole are seen through the samples', async () => {
  const changed = encodeModel({
    ...spec,
    graph: { ...spec.graph, initializers: [weights('w', [64, 64], 9), weights('small', [4], 2)] },
  });
  expect(changed).toHaveLength(original.length);
  expect(await digest(changed)).not.toBe(await digest(original));
});

test('costs the graph and 64 blocks of 4 KiB, whatever the weights', async () => {
  const big = encodeModel({
    graph: {
      ...spec.graph,
      initializers: [weights('w', [4], 1), { name: 'huge', dims: [8_000_000], data: new Uint8Array(32_000_000) }],
    },
  });
  const source = new CountingSource(new BufferSource(big));
  await fingerprint(await indexModel(source));
  expect(source.bytesRead).toBeLessThan(450_000);
});

test('referenceOf: null for other models, the record of a cut, an error for one that cannot be read', async () => {
  expect(await referenceOf(await indexModel(original))).toBeNull();
  const record = { schema: 1, file: 'm.onnx', size_bytes: 3, sha256: 'abc' };
  expect(await referenceOf(await cut(record))).toEqual(record);
  for (const bad of [
    '{',
    'null',
    '[]',
    { ...record, schema: 2 },
    { ...record, file: 1 },
    { ...record, size_bytes: '3' },
    { schema: 1, file: 'm' },
  ])
    await expect(cut(bad).then(referenceOf)).rejects.toThrow(PolicyError);
});

describe('assertReference', () => {
  const record = async (): Promise<object> => ({
    schema: 1,
    file: 'm.onnx',
    size_bytes: original.length,
    sha256: await digest(original),
  });

  test('passes other models, and a cut whose original is unchanged', async () => {
    await expect(assertReference(await indexModel(original), folder({}))).resolves.toBeUndefined();
    await expect(assertReference(await cut(await record()), folder({ 'm.onnx': original }))).resolves.toBeUndefined();
  });

  test('refuses an original of another size or content, naming it', async () => {
    const model = await cut(await record());
    await expect(assertReference(model, folder({ 'm.onnx': original.slice(0, -1) }))).rejects.toThrow(
      expect.objectContaining({
        code: 'FEATX_REFERENCE_CHANGED',
        message: expect.stringMatching(/m\.onnx.*bytes and had/),
      }),
    );
    const changed = original.slice();
    changed[original.indexOf(0x4d)] ^= 0x20;
    await expect(assertReference(model, folder({ 'm.onnx': changed }))).rejects.toThrow(
      expect.objectContaining({ code: 'FEATX_REFERENCE_CHANGED', message: expect.stringMatching(/content differs/) }),
    );
  });

  test('a missing original is an IoError, one outside the folder is never opened', async () => {
    await expect(assertReference(await cut(await record()), folder({}))).rejects.toThrow(IoError);
    await expect(
      assertReference(await cut({ ...(await record()), file: '../m.onnx' }), folder({ '../m.onnx': original })),
    ).rejects.toThrow(PolicyError);
  });
});
