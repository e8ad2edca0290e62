import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EntryRuns } from './entry-runs.js';
import { writeArrays } from './tensors/in-memory.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value } from './testing/model-spec.js';

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'featx-entry-runs-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a model that fixes its batch: entries lie where they are proved to, not where a size is equal', async () => {
  const data = Float32Array.from({ length: 12 }, (_, at) => at);
  await writeArrays(join(folder, 'x.npy'), new Map([['', { dtype: 'float32', shape: [2, 2, 3], data }]]));
  const model = encodeModel({
    graph: {
      inputs: [value('x', [2, 2, 3])],
      outputs: [value('turned', [2, 2, 3]), value('anchors', [2])],
      nodes: [
        node('Transpose', ['x'], ['turned'], { perm: { ints: [1, 0, 2] } }),
        node('Identity', ['two'], ['anchors']),
      ],
      initializers: [tensor('two', [2], [7, 8])],
    },
  });
  await using runs = await EntryRuns.open(model, {
    inputs: [join(folder, 'x.npy')],
    select: ['turned', 'anchors'].map((name) => ({ by: 'tensor' as const, name })),
    isolate: false,
  });
  const seen: unknown[] = [];
  for await (const { feeds, values } of runs.entries())
    seen.push([feeds.get('x'), values.get('turned'), values.get('anchors')].map((own) => [...(own?.data ?? [])]));
  expect(seen).toEqual([
    [
      [0, 1, 2, 3, 4, 5],
      [0, 1, 2, 3, 4, 5],
      [7, 8],
    ],
    [
      [6, 7, 8, 9, 10, 11],
      [6, 7, 8, 9, 10, 11],
      [7, 8],
    ],
  ]);
});
