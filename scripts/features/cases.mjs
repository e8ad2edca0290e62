// Statements about single networks, each as a check of its own. A check returns what is wrong, or null.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const quiet = { isolate: false };

async function settled(checks) {
  const results = [];
  for (const [statement, check] of checks) {
    try {
      results.push({ statement, problem: await check() });
    } catch (error) {
      results.push({ statement, problem: `${error.name}: ${error.message}` });
    }
  }
  return results;
}

const words = (features) =>
  features.map(({ tensor, num_chs, reduction }) => `${tensor} ${num_chs}@${reduction}`).join(', ') || 'none';
const unless = (holds, problem) => (holds ? null : problem);

/** cases/networks: what its README.txt says of each file. */
export function checkNetworks(folder, { inspect, extract }) {
  const report = (file) => inspect(join(folder, file), quiet);
  const last = (file, tensor, place) => [
    `${file}: feature 3 is ${tensor} (${place})`,
    async () => {
      const { feature_info: features } = await report(file);
      const [, , , got] = features;
      return unless(
        got?.tensor === tensor && `${got.num_chs}@${got.reduction}` === place,
        `features ${words(features)}`,
      );
    },
  ];
  const tensors = (file, expected) => [
    `${file}: the features are ${expected.join(', ')}`,
    async () => {
      const { feature_info: features } = await report(file);
      return unless(features.map(({ tensor }) => tensor).join() === expected.join(), `features ${words(features)}`);
    },
  ];
  return settled([
    last('f1-head-convs.onnx', 'p16', '64@16'),
    last('f3-ssd.onnx', 'p16', '64@16'),
    last('f5-dbnet.onnx', 'p16', '64@16'),
    last('f18-conv-classifier.onnx', 'p16', '64@16'),
    tensors('f7-flatten-and-back-in-front.onnx', ['p2', 'p4', 'p8']),
    tensors('f14-mobilenetv2-initializers.onnx', ['p2', 'r0', 'r1']),
    tensors('f15-mobilenetv2-weights-in-Constants.onnx', ['p2', 'r0', 'r1']),
    tensors('f16-dynamic-quantized-resnet.onnx', ['p2', 'p4', 'p8', 'p16']),
    [
      'f8-three-heads.onnx: the embedding is vec (64)',
      async () => {
        const { embedding } = await report('f8-three-heads.onnx');
        return unless(
          embedding?.tensor === 'vec' && embedding.shape?.at(-1) === 64,
          `embedding ${JSON.stringify(embedding)}`,
        );
      },
    ],
    [
      'f10-u2net.onnx: the features are 16@1, 16@2, 16@4',
      async () => {
        const { feature_info: features } = await report('f10-u2net.onnx');
        const places = features.map(({ num_chs, reduction }) => `${num_chs}@${reduction}`).join(' ');
        return unless(places === '16@1 16@2 16@4', `features ${words(features)}`);
      },
    ],
    [
      'c1-sequence-output.onnx: a sequence leaves with its type',
      async () => {
        const { outputs } = await hooked('c1-sequence-output.onnx', 'Seq_empty');
        const output = outputs.find(({ name }) => name === 'Seq_empty');
        return unless(/^seq/i.test(output?.type ?? ''), `output ${JSON.stringify(output)}`);
      },
    ],
    [
      'c2-no-shape-without-warning.onnx: a shape that is known is written',
      async () => {
        const { outputs, warnings } = await hooked('c2-no-shape-without-warning.onnx', 'identity_out_0');
        const output = outputs.find(({ name }) => name === 'identity_out_0');
        return unless(
          output?.shape?.join() === '1',
          `output ${JSON.stringify(output)}, warnings ${warnings.join('; ') || 'none'}`,
        );
      },
    ],
  ]);

  async function hooked(file, tensor) {
    const scratch = mkdtempSync(join(tmpdir(), 'featx-networks-'));
    try {
      const target = join(scratch, 'hooked.onnx');
      const { warnings } = await extract(join(folder, file), target, {
        select: [{ by: 'tensor', name: tensor }],
        mode: 'hook',
        ...quiet,
      });
      const { outputs } = await inspect(target, quiet);
      return { outputs, warnings };
    } finally {
      rmSync(scratch, { recursive: true });
    }
  }
}

/** cases/surgery: what `inspect` and `--module` say there; check.py compares the values as well. */
export function checkSurgery(folder, { inspect }) {
  const at = (name) => join(folder, name);
  const module = (file, name, tensor) => [
    `${file}: --module ${name} is ${tensor}`,
    async () => {
      const { selected } = await inspect(at(file), { select: [{ by: 'module', name }], ...quiet });
      return unless(selected?.length === 1 && selected[0].tensors.join() === tensor, JSON.stringify(selected));
    },
  ];
  const embedding = (file, tensor) => [
    `${file}: the embedding is ${tensor}`,
    async () => {
      const { embedding: got } = await inspect(at(file), quiet);
      return unless((got?.tensor ?? null) === tensor, JSON.stringify(got));
    },
  ];
  const appended = '17-appended-postprocessing-without-names/model.onnx';
  return settled([
    embedding('02-qoperator-resnet-conv-inputs/model.onnx', 'flatten_473'),
    embedding('03-clip-image-and-text-logits-only/model.onnx', null),
    embedding('13-birdnet-embedding-beside-scores/model.onnx', 'model/GLOBAL_AVG_POOL/Mean_Squeeze__1412:0'),
    embedding('16-uint8-preprocessing-no-batch/model.onnx', '/Flatten_output_0'),
    embedding('extra/13-rank3-twin.onnx', 'model/GLOBAL_AVG_POOL/Mean_Squeeze__1412:0'),
    ...[appended, 'extra/17-plain-names.onnx'].flatMap((file) => [
      module(file, 'layer3', '/layer3/Relu_1_output_0'),
      module(file, 'fc', 'logits'),
    ]),
  ]);
}
