import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { indexModel } from './onnx/model.js';
import { tensorsOf } from './onnx/graph.js';
import { extract } from './extract.js';
import { extractBytes, inspectBytes, planBytes } from './in-memory.js';
import { BlobSource } from './wire/blob-source.js';
import { materialize } from './wire/pieces.js';
import { inspect } from './inspect.js';
import { BufferSource } from './wire/source.js';
import { encodeModel } from './testing/model-builder.js';
import { node, value } from './testing/model-spec.js';
import { inspectText } from './report/inspect-text.js';
import { PLAIN } from './report/style.js';
import { verify } from './verify.js';

const timm = readdirSync(join('fixtures', 'timm'))
  .filter((name) => name.endsWith('.onnx'))
  .map((name) => join('fixtures', 'timm', name));

test.each(timm)('inspectBytes finds in %s what inspect finds', async (path) => {
  const seen = ({ feature_info, out_indices, embedding }: Awaited<ReturnType<typeof inspect>>): unknown => ({
    feature_info: feature_info.map(({ index, module, tensor, num_chs, reduction, layout }) => ({
      index,
      module,
      tensor,
      num_chs,
      reduction,
      layout,
    })),
    out_indices,
    embedding: embedding?.tensor,
  });
  expect(seen(await inspectBytes(readFileSync(path)))).toEqual(seen(await inspect(path, { isolate: false })));
});

test('extractBytes cuts what extract cuts, byte for byte where the file declares its types', async () => {
  const path = 'fixtures/timm/test_resnet.ts.onnx';
  const { bytes, report } = await extractBytes(new BufferSource(readFileSync(path)), { out: [1, -1], mode: 'list' });
  const written: Uint8Array[] = [];
  const other = await extract(path, null, {
    out: [1, -1],
    mode: 'list',
    weights: 'embed',
    isolate: false,
    write: async (chunk) => void written.push(chunk.slice()),
  });
  expect(Buffer.compare(Buffer.from(bytes), Buffer.concat(written))).toBe(0);
  expect({ ...report, elapsed_ms: 0, input: path, output: '-' }).toEqual({ ...other, elapsed_ms: 0 });
  expect((await verify(path, bytes)).equal).toBe(true);
});

test('a hook is computed with the model, as NCHW', async () => {
  const path = 'fixtures/timm/test_vit.ts.onnx';
  const { bytes } = await extractBytes(readFileSync(path), { mode: 'hook', last: 1, outputFmt: 'NCHW' });
  expect((await verify(path, bytes)).equal).toBe(true);
});

test('weights beside the model come in through the files that are given, and nowhere else', async () => {
  const model = readFileSync('fixtures/models/12-external.onnx');
  const data = readFileSync('fixtures/models/12-external.data');
  const asked = { select: [{ by: 'tensor', name: 'y' }] } as const;
  await expect(extractBytes(model, asked)).rejects.toMatchObject({ code: 'FEATX_USAGE_NO_DIRECTORY' });
  const opened: string[] = [];
  const files = {
    open: async (location: string): Promise<BufferSource> => {
      opened.push(location);
      return new BufferSource(data);
    },
    close: async (): Promise<void> => undefined,
  };
  const { bytes } = await extractBytes(model, { ...asked, files });
  expect(new Set(opened)).toEqual(new Set(['12-external.data']));
  const whole = await indexModel(bytes);
  expect([...tensorsOf(whole)].filter(({ external }) => external !== null)).toEqual([]);
});

test('an option that there is not is an error with the nearest, a value that is not allowed one too', async () => {
  const bytes = readFileSync('fixtures/timm/test_resnet.ts.onnx');
  await expect(extractBytes(bytes, { weights: 'external', outfmt: 1 } as object)).rejects.toThrow(
    'extractBytes has no option `weights`; extractBytes has no option `outfmt`; did you mean `out` or `outMap`?',
  );
  await expect(extractBytes(bytes, { mode: 'lists', out: [':a'], files: 1 } as object)).rejects.toMatchObject({
    code: 'FEATX_USAGE_OPTION',
    message: expect.stringMatching(/`mode` is 'lists', not .*`out` is \[":a"\], not .*`files` is 1, not what opens/),
  });
  await expect(inspectBytes(bytes, { listTensor: true } as object)).rejects.toThrow('did you mean `listTensors`?');
});

test('every tensor that is listed says who knows its type', async () => {
  const foreign = { domain: 'somewhere.else' };
  const bytes = encodeModel({
    opset: [
      ['', 17],
      ['somewhere.else', 1],
    ],
    graph: {
      inputs: [value('x', ['N', 4])],
      nodes: [
        node('Relu', ['x'], ['a']),
        node('Strange', ['a'], ['b'], {}, foreign),
        node('Strange', ['b'], ['c'], {}, foreign),
        node('Relu', ['b'], ['y']),
      ],
      outputs: [value('y', ['N', 4])],
      valueInfo: [value('a', ['N', 4]), value('b', ['N', 4])],
    },
  });
  const { tensors = [] } = await inspectBytes(bytes, { listTensors: true });
  expect(tensors.map(({ name, origin }) => [name, origin])).toEqual([
    ['a', 'inferred'],
    ['b', 'declared'],
    ['c', null],
    ['y', 'inferred'],
  ]);
});

test('inspect shows what the exporter wrote into the model, and nothing of our own', async () => {
  const model = encodeModel({
    metadata: [
      ['stride', '32'],
      ['featx.other', 'ours'],
      ['names', "{0: 'person'}"],
    ],
    graph: { inputs: [value('x', [1])], outputs: [value('y', [1])], nodes: [node('Neg', ['x'], ['y'])] },
  });
  const report = await inspectBytes(model);
  expect(report.model.metadata).toEqual({ stride: '32', names: "{0: 'person'}" });
  expect(inspectText(report, PLAIN)).toContain("metadata  names = {0: 'person'}");
});

test('a cut of slices of a file is that of extract beside the model, its weights in it or in the model', async () => {
  const name = 'test_resnet.ts.onnx';
  const bytes = readFileSync(join('fixtures', 'timm', name));
  const source = new BlobSource(new Blob([bytes]), name);
  const model = await indexModel(source);
  const home = mkdtempSync(join(tmpdir(), 'featx-slices-'));
  try {
    writeFileSync(join(home, name), bytes);
    for (const weights of ['keep', 'reference'] as const) {
      const cut = await planBytes(model, { out: [1, 2], outMap: ['a', 'b'] }, { weights, fileName: name });
      const output = join(home, `${weights}.onnx`);
      await extract(join(home, name), output, { out: [1, 2], outMap: ['a', 'b'], weights, isolate: false });
      expect(Buffer.compare(await materialize(cut.source, cut.pieces), readFileSync(output))).toBe(0);
      expect(cut.outputs.map((each) => each.output)).toEqual(['a', 'b']);
    }
  } finally {
    rmSync(home, { recursive: true });
  }
});

test('a file that became shorter, or cannot be read any more, is an error', async () => {
  const blob = new Blob([new Uint8Array(100_000)]);
  class Shorter extends Blob {
    override slice(): Blob {
      return new Blob(['x']);
    }
  }
  await expect(new BlobSource(new Shorter(['abcdefghijk']), 'm.onnx').read(0, 10)).rejects.toMatchObject({
    code: 'FEATX_IO_CHANGED',
  });
  const source = new BlobSource(blob);
  expect((await source.read(99_990, 100_000)).length).toBe(10);
  await expect(source.read(99_990, 100_001)).rejects.toThrow('outside the 100000 bytes');
});
