import { configJobs, parseConfig, type Config } from '../../../batch/config.js';
import { planJobs } from '../../../batch/jobs.js';
import { decodeOptions } from '../../../batch/options.js';
import type { ConfigOptions } from '../../../options/types.js';
import { decodeText } from '../../../wire/text.js';
import { mutateBytes } from '../mutate-bytes.js';
import { mutateJson, type Json } from '../mutate-json.js';
import type { Random } from '../random.js';
import { codeOf, Violation, type Target } from '../target.js';
import { NamesOnly } from './names-only.js';

const ROOT = '/models';
const encoder = new TextEncoder();

/** Configs of batches: refused with everything that is wrong, or good for a plan. */
export function configTarget(seeds: readonly Json[]): Target {
  return {
    name: 'config',
    shape: { prefix: 0, type: null },
    deepOnceIn: 4,
    input: (random) => mutatedConfig(seeds, random),
    run: async (bytes, deep) => {
      const text = decodeText(bytes);
      try {
        const config = parseConfig(text);
        assertShape(config);
        if (!deep) return 'ok';
        const plan = planJobs((await configJobs({ config, root: ROOT }, new NamesOnly())).jobs, ROOT);
        for (const { options, item, output } of plan.items) {
          decodeOptions(options);
          if (item === '' || output === '') throw new Violation('job-without-a-name', JSON.stringify([item, output]));
        }
        return 'ok';
      } catch (error) {
        return codeOf(error);
      }
    },
  };
}

/** What later code relies on, said in other words than the schema. */
function assertShape({ models, options = {}, exclude = [] }: Config): void {
  const fine =
    Array.isArray(models) &&
    models.length > 0 &&
    models.every((entry) => typeof entry === 'string' || typeof entry.model === 'string') &&
    Array.isArray(exclude) &&
    typeof options === 'object' &&
    options !== null;
  if (!fine) throw new Violation('accepts-what-the-schema-forbids', JSON.stringify(models).slice(0, 200));
  const all: readonly ConfigOptions[] = [
    options,
    ...models.flatMap((entry) => (typeof entry === 'string' ? [] : [entry.options ?? {}])),
  ];
  for (const { out = [], last = 1, out_map: map = [], select = [], align = 1 } of all) {
    const right =
      (typeof out === 'string'
        ? out !== ''
        : out.every((item) => item !== '' && (typeof item === 'string' || Number.isInteger(item)))) &&
      Number.isInteger(last) &&
      map.every((name) => typeof name === 'string') &&
      select.every((entry) => Object.keys(entry).length === 1) &&
      align >= 1;
    if (!right) throw new Violation('accepts-what-the-schema-forbids', JSON.stringify(all).slice(0, 200));
  }
}

function mutatedConfig(seeds: readonly Json[], random: Random): Uint8Array {
  let value = random.pick(seeds);
  for (let count = 1 + random.below(5); count > 0; count--) value = mutateJson(value, random, random.pick(seeds));
  let bytes = encoder.encode(JSON.stringify(value) ?? 'null');
  if (random.once(4))
    bytes = new Uint8Array(mutateBytes(bytes, random, encoder.encode(JSON.stringify(random.pick(seeds)))));
  if (random.once(200)) bytes = encoder.encode(`{"models":${'['.repeat(20_000)}${']'.repeat(20_000)}}`);
  return bytes;
}

/** Configs that say everything a config can say. */
export const CONFIG_SEEDS: readonly Json[] = [
  { models: ['a.onnx'] },
  {
    $schema: './x.json',
    models: [
      '**/*.onnx',
      { model: 'b/*.onnx', output: '{dir}/{name}.cut.onnx', options: { out: [-1], mode: 'hook', rewrite: true } },
    ],
    exclude: ['old/**'],
    output: 'out/{rel}/{name}.onnx',
    jobs: 4,
    timeout_seconds: 1.5,
    memory_bytes: 1e9,
    fail_fast: true,
    check: 'content',
  },
  {
    models: ['a', 'sub'],
    options: {
      select: [{ module: 'layer*' }, { tensor: 'x' }, { node: 'n' }],
      embedding: true,
      weights: 'external',
      align: 4096,
      follow: true,
      strict: true,
      strict_external: true,
      limits: { index_bytes: 1000, depth: 100, name_bytes: 10 },
    },
  },
  {
    models: [
      {
        model: 'a.onnx',
        options: { last: 2, out_map: ['p', 'q'], order: 'exec', keep_outputs: true },
        feature_info: [{ index: 0 }],
      },
    ],
    options: {
      features: [{ num_chs: 64, reduction: 4, module: 'layer1' }],
      hook_type: 'forward_pre',
      input_shape: { x: [1, 3, 224, 224] },
      include_head: true,
      allow_folded: true,
      flatten_sequential: true,
      feature_concat: true,
      mode: 'list',
      output_fmt: 'NLC',
    },
  },
  { models: ['a.onnx'], options: { features: 'info.json' } },
];
