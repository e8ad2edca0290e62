import type { TensorValue } from '../onnx/tensor-value.js';
import { link, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openModel } from '../open.js';
import { FeatureRunner } from '../runner.js';
import { EXTERNAL_BYTES, modelsWith, tensorAt } from '../testing/external-positions.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value, type ModelSpec, type TensorSpec } from '../testing/model-spec.js';
import { openSession } from './open-session.js';
import type { SessionOptions } from './session-options.js';

let root: string;
let directory: string;
const ELEMENTS = EXTERNAL_BYTES / 4;
const numbers = Float32Array.from({ length: ELEMENTS }, (_, index) => index / 8);

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'featx-runtime-gate-')));
  directory = join(root, 'model');
  await mkdir(directory);
  for (const path of ['secret.bin', 'model/w.bin']) await writeFile(join(root, path), new Uint8Array(numbers.buffer));
  await symlink('../secret.bin', join(directory, 'link-out.bin'));
});
afterEach(() => rm(root, { recursive: true }));

async function written(spec: ModelSpec): Promise<string> {
  const path = join(directory, 'model.onnx');
  await writeFile(path, encodeModel(spec));
  return path;
}

/** What the runtime is never shown: training. */
const positions = [...modelsWith(tensorAt('w.bin')).keys()].filter((position) => !position.startsWith('training'));

describe('the runtime opens no file that did not pass the gate', () => {
  test.each(positions)('%s', async (position) => {
    for (const [location, code] of [
      ['link-out.bin', 'FEATX_EXTERNAL_LINK'],
      ['../secret.bin', 'FEATX_EXTERNAL_LOCATION'],
      ['missing.bin', 'FEATX_IO_NOT_FOUND'],
    ]) {
      await using model = await openModel(await written(modelsWith(tensorAt(location)).get(position) ?? { graph: {} }));
      const opened = await openSession(model).then(
        async (session) => (await session.close(), 'opened'),
        (error: { code: string }) => error.code,
      );
      expect({ location, opened }).toEqual({ location, opened: code });
    }
  });

  test('a file of many names is said, and refused where asked', async () => {
    await link(join(root, 'secret.bin'), join(directory, 'hard.bin'));
    const path = await written(modelsWith(tensorAt('hard.bin')).get('initializer') ?? { graph: {} });
    const open = async (options: SessionOptions): Promise<readonly string[]> => {
      await using model = await openModel(path);
      await using session = await openSession(model, options);
      return session.warnings;
    };
    expect(await open({})).toEqual(["'hard.bin' has 2 hard links"]);
    await expect(open({ strictExternal: true })).rejects.toMatchObject({
      name: 'PolicyError',
      code: 'FEATX_EXTERNAL_HARD_LINK',
    });
    const named = [{ by: 'tensor', name: 'y' }] as const;
    await expect(FeatureRunner.open(path, { select: named, strictExternal: true })).rejects.toMatchObject({
      code: 'FEATX_EXTERNAL_HARD_LINK',
    });
    await using runner = await FeatureRunner.open(path, { select: named });
    expect(runner.warnings).toContain("'hard.bin' has 2 hard links");
  });
});

/** Graphs that add a tensor of `ELEMENTS` numbers, which stands somewhere in them, to their input. */
function adding(tensor: TensorSpec): ReadonlyMap<string, ModelSpec> {
  const ends = { inputs: [value('x', [ELEMENTS]), value('c', [], 'bool')], outputs: [value('y', null, null)] };
  const constant = node('Constant', [], ['w'], { value: { tensor } });
  const add = node('Add', ['x', 'w'], ['z']);
  const branch = { graph: { nodes: [constant, add], outputs: [value('z', null, null)] } };
  const call = {
    ...ends,
    nodes: [node('F', ['x'], ['a'], {}, { domain: 'd' }), node('Where', ['c', 'a', 'a'], ['y'])],
  };
  const opset: ModelSpec['opset'] = [
    ['', 17],
    ['d', 1],
  ];
  return new Map<string, ModelSpec>([
    [
      'a constant of a body',
      { graph: { ...ends, nodes: [node('If', ['c'], ['y'], { then_branch: branch, else_branch: branch })] } },
    ],
    [
      'a function',
      {
        opset,
        graph: call,
        functions: [{ name: 'F', domain: 'd', inputs: ['x'], outputs: ['z'], nodes: [constant, add] }],
      },
    ],
    [
      'two of them',
      {
        opset,
        graph: call,
        functions: [
          {
            name: 'F',
            domain: 'd',
            inputs: ['x'],
            outputs: ['z'],
            nodes: [
              constant,
              node('Constant', [], ['v'], { value: { tensor } }),
              node('Sub', ['w', 'v'], ['u']),
              node('Sum', ['x', 'w', 'u'], ['z']),
            ],
          },
        ],
      },
    ],
  ]);
}

describe('values that the runtime cannot find by itself reach it', () => {
  test.each([...adding(tensorAt('w.bin')).keys()])('%s', async (place) => {
    const feeds = new Map<string, TensorValue>([
      ['x', { dtype: 'float32', shape: [ELEMENTS], data: numbers }],
      ['c', { dtype: 'bool', shape: [], data: Uint8Array.of(1) }],
    ]);
    await using model = await openModel(await written(adding(tensorAt('w.bin')).get(place) ?? { graph: {} }));
    await using session = await openSession(model);
    expect((await session.run(feeds)).get('y')).toEqual({
      dtype: 'float32',
      shape: [ELEMENTS],
      data: numbers.map((number) => 2 * number),
    });
  });

  test('but not more of them than one graph can hold, however often a file is named', async () => {
    const size = 2 ** 30;
    const huge: TensorSpec = { name: 'w', dims: [size / 4], external: [['location', 'huge.bin']] };
    const file = await import('node:fs/promises').then(({ open }) => open(join(directory, 'huge.bin'), 'w'));
    await file.truncate(size);
    await file.close();
    const constants = ['a', 'b', 'c'].map((name) => node('Constant', [], [name], { value: { tensor: huge } }));
    const body = {
      graph: { nodes: [...constants, node('Sum', ['a', 'b', 'c'], ['z'])], outputs: [value('z', null, null)] },
    };
    await using model = await openModel(
      await written({
        graph: {
          inputs: [value('c', [], 'bool')],
          outputs: [value('y', null, null)],
          nodes: [node('If', ['c'], ['y'], { then_branch: body, else_branch: body })],
        },
      }),
    );
    await expect(openSession(model)).rejects.toMatchObject({
      name: 'PolicyError',
      code: 'FEATX_LIMIT_MODEL',
      message: expect.stringContaining('6442'),
    });
  });
});
