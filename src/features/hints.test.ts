import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from '../extract.js';
import { extractBytes } from '../in-memory.js';
import { inspect } from '../inspect.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value } from '../testing/model-spec.js';
import { runCli } from '../testing/cli.js';

/** What a name that selects nothing is told. */

const model = encodeModel({
  graph: {
    inputs: [value('x', [1, 4]), value('c', [], 'bool')],
    outputs: [value('y', [1, 4])],
    nodes: [
      node('Relu', ['x'], ['a'], {}, { name: '/one/act/Relu' }),
      node('Neg', ['a'], ['b'], {}, { name: '/two/act/Neg' }),
      node('If', ['c'], ['y'], {
        then_branch: { graph: { nodes: [node('Abs', ['b'], ['inner_abs'])], outputs: [value('inner_abs', [1, 4])] } },
        else_branch: { graph: { nodes: [node('Neg', ['b'], ['inner_neg'])], outputs: [value('inner_neg', [1, 4])] } },
      }),
    ],
  },
});
const refused = (select: { readonly by: 'module' | 'tensor'; readonly name: string }): Promise<unknown> =>
  extract(model, null, { select: [select], dryRun: true }).then(
    () => null,
    (error: unknown) => error,
  );

test('a glob that matches only inside a body says so, and what leaves there', async () => {
  expect(await refused({ by: 'tensor', name: 'inner_*' })).toMatchObject({
    message: expect.stringContaining("'inner_*' matches tensors only inside the then_branch of"),
    hint: expect.stringContaining("'y'"),
  });
});

test('a glob that would have to go over dots says so', async () => {
  expect(await refused({ by: 'module', name: 'o*act' })).toMatchObject({
    hint: "* and ? stop at '.': they do not reach 'one.act'",
  });
});

test.each([
  ['fixtures/timm/test_resnet.ts.onnx', 'layer2', "'layer2' is a module: --module layer2 or --out 2"],
  ['fixtures/timm/test_resnet.ts.onnx', 'layer2.0', "'layer2.0' is a module: --module layer2.0"],
  ['fixtures/timm/test_resnet.ts.onnx', 'output', "'output' is an output: --tensor output"],
  ['fixtures/timm/test_resnet.ts.onnx', 'p3', "'p3' may be meant for stride 8: --out 2"],
  [
    'fixtures/timm/test_resnet.ts.onnx',
    '1,layr2',
    "indices are numbers, as inspect lists them; nothing is called 'layr2'; nearest: 'layer2', 'layer1', 'layer3'",
  ],
  ['fixtures/zoo/test_vit.ts.onnx', 'attention', "'attention' is a group: --out attention:0-5"],
])('--out of %s with the name %s says what has it', async (path, out, hint) => {
  for (const command of ['extract', 'run'])
    expect(await runCli([command, path, '--out', out, '-o', join(tmpdir(), 'featx-none.npz')])).toMatchObject({
      exit: 2,
      stderr: expect.stringMatching(new RegExp(`as indices\n  hint: ${hint.replace(/[.*]/g, '\\$&')}\n`)),
    });
});

test('an output of a cut is proposed by its index too', async () => {
  const whole = readFileSync('fixtures/timm/test_resnet.ts.onnx');
  const { bytes } = await extractBytes(whole, { out: [1, 2], outMap: ['p2', 'p3'] });
  await expect(extract(bytes, null, { out: 'p2,p3', dryRun: true })).rejects.toMatchObject({
    message: "`out` cannot read 'p2', 'p3' as indices",
    hint: expect.stringContaining("'p3' is an output: `out: [2]` or `select: [{ by: 'tensor', name: 'p3' }]`"),
  });
});

test('inspect counts the nodes that lie in bodies', async () => {
  expect((await inspect(model)).model).toMatchObject({ nodes: 3, inner_nodes: 2 });
});

test('the mean of tokens is proposed for an embedding that there is not', async () => {
  const encoder = 'fixtures/features/seq_hf_t5_encoder.ts.onnx';
  expect(await runCli(['extract', encoder, '--embedding', '--dry-run'])).toMatchObject({
    exit: 2,
    stderr: expect.stringMatching(/or pool the last block: --out -1 --pool mean/),
  });
});

test('names with commas between them are given one by one', async () => {
  expect(await refused({ by: 'module', name: 'one,two' })).toMatchObject({
    hint: expect.stringContaining('give one name at a time'),
  });
});

test('a flag of another command says whose it is', async () => {
  expect(await runCli(['extract', 'm.onnx', '--input', 'cat.png'])).toMatchObject({
    exit: 2,
    stderr: expect.stringMatching(/hint: --input is a flag of featx run/),
  });
});

test.each([
  [['extract', 'm.onnx', '--layers', 'layer1'], 'did you mean --module?'],
  [['extract', 'm.onnx', '--outputs', '1'], 'did you mean --tensor?'],
  [['run', 'm.onnx', '--gpu'], 'did you mean --provider?'],
  [
    ['inspect', 'm.onnx', '--dim', 'batch=1'],
    '--dim is a flag of featx extract, featx batch; here it may be --input-shape',
  ],
  [['extract', 'm.onnx', '--moduel', 'a'], 'did you mean --module?'],
  [['extract', 'm.onnx', '--keep-output'], 'did you mean --keep-outputs?'],
  [['run', 'm.onnx', '--tokeniser', 'x'], 'did you mean --tokenizer?'],
  [['extract', 'm.onnx', '1,2'], 'features are chosen with --out, --module or --tensor'],
])('%j: %s', async (line, hint) => {
  expect(await runCli(line)).toMatchObject({ exit: 2, stderr: expect.stringContaining(`hint: ${hint}\n`) });
});
