import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { encodeModel } from '../testing/model-builder.js';
import { node, value } from '../testing/model-spec.js';

/** Who loads onnxruntime-node first, runs the build: a process loads it once. */

const LIBRARY = pathToFileURL(join(process.cwd(), 'dist', 'index.js')).href;
const MODEL = encodeModel({
  graph: {
    inputs: [value('x', [2], 'float16')],
    outputs: [value('y', [2], 'float16')],
    nodes: [node('Neg', ['x'], ['y'])],
  },
});

/** Nothing before, the runtime loaded, or a tensor made: that is when the runtime decides what halves are. */
const BEFORE = {
  nothing: '',
  loaded: "import 'onnxruntime-node';",
  'a tensor': "import * as ort from 'onnxruntime-node'; new ort.Tensor('float32', [1], [1]);",
};

test.each([
  ['nothing', false, '[48128,0]'],
  ['loaded', false, '[48128,0]'],
  ['a tensor', true, '[48128,0]'],
  ['a tensor', false, 'Float16Array' in globalThis ? 'FEATX_RUNTIME_FLOAT16' : '[48128,0]'],
] as const)('halves after %s, isolated: %s', (before, isolate, expected) => {
  const folder = mkdtempSync(join(tmpdir(), 'featx-halves-'));
  try {
    writeFileSync(join(folder, 'm.onnx'), MODEL);
    const script = `${BEFORE[before]}
      import { openSession, openModel } from '${LIBRARY}';
      const model = await openModel(${JSON.stringify(join(folder, 'm.onnx'))});
      const x = { dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0x8000) };
      const answer = await openSession(model, { isolate: ${isolate} }).then(async (session) => {
        const { data } = (await session.run(new Map([['x', x]]))).get('y');
        await session.close();
        return JSON.stringify([...data]);
      }, ({ code }) => code);
      console.log(answer);
      await model[Symbol.asyncDispose]();`;
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim()).toBe(
      expected,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
