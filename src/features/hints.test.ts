import { extract } from '../extract.js';
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
  [
    ['extract', 'm.onnx', '--out', 'layer.3'],
    'say which features of a group: layer.3:0-2; modules are selected with --module',
  ],
])('%j: %s', async (line, hint) => {
  expect(await runCli(line)).toMatchObject({ exit: 2, stderr: expect.stringContaining(`hint: ${hint}\n`) });
});
