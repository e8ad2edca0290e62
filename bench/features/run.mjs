// node bench/features/run.mjs: time of each resolver against the number of nodes, on residual networks with and without
// module names.
//   FEATX_BENCH_ROUNDS  of how many rounds the least counts (default 3)
// Prints a table; writes bench/results/features.json and features.md.
import { fileURLToPath } from 'node:url';
import { built, root } from '../../scripts/ready.mjs';
import { machine, markdown, save } from '../lib/table.mjs';
import { int, ints, message, text } from '../lib/wire.mjs';

built();
const { openModel } = await import('../../dist/open.js');
const { viewGraph } = await import('../../dist/onnx/graph.js');
const { declaredTypes } = await import('../../dist/onnx/types.js');
const { analyse } = await import('../../dist/features/analysis.js');
const { moduleTree } = await import('../../dist/features/modules.js');
const { nodePaths } = await import('../../dist/features/names.js');
const { resolveByModules } = await import('../../dist/features/resolvers/module-path.js');
const { resolveByTopology } = await import('../../dist/features/resolvers/topology.js');

const rounds = Number(process.env.FEATX_BENCH_ROUNDS ?? 3);
const SIZES = [1_000, 10_000, 100_000];
const STAGES = 5;
const NODES_PER_BLOCK = 5;

/** Stages of blocks: convolution, activation, convolution, sum, activation. Weights are elsewhere. */
function network(size, named) {
  const nodes = [];
  let count = 0;
  const add = (op, scope, inputs, stride) => {
    const name = named ? `/${scope}/${op}_${count}` : '';
    const output = named ? `${name}_output_0` : `t${count}`;
    count++;
    const attributes =
      stride === undefined
        ? []
        : [
            ['strides', [stride, stride]],
            ['kernel_shape', [3, 3]],
            ['pads', [1, 1, 1, 1]],
          ].flatMap(([key, values]) => message(5, [...text(1, key), ...ints(8, values), ...int(20, 7)]));
    nodes.push(
      ...message(1, [
        ...inputs.flatMap((input) => text(1, input)),
        ...text(2, output),
        ...text(3, name),
        ...text(4, op),
        ...attributes,
      ]),
    );
    return output;
  };
  let value = 'image';
  for (let stage = 0; stage < STAGES; stage++) {
    for (let block = 0; block < Math.floor(size / STAGES / NODES_PER_BLOCK); block++) {
      const scope = `layer${stage}/layer${stage}.${block}`;
      if (block === 0) value = add('Relu', `${scope}/down`, [add('Conv', `${scope}/down`, [value, 'w'], 2)]);
      const inner = add(
        'Conv',
        `${scope}/conv2`,
        [add('Relu', `${scope}/act1`, [add('Conv', `${scope}/conv1`, [value, 'w'], 1)]), 'w'],
        1,
      );
      value = add('Relu', `${scope}/act2`, [add('Add', scope, [inner, value])]);
    }
  }
  const external = message(13, [...text(1, 'location'), ...text(2, 'weights.bin')]);
  const weight = message(5, [...ints(1, [8, 8, 3, 3]), ...int(2, 1), ...text(8, 'w'), ...external, ...int(14, 1)]);
  const shape = message(
    2,
    [1, 8, 256, 256].flatMap((size_) => message(1, int(1, size_))),
  );
  const image = message(11, [...text(1, 'image'), ...message(2, message(1, [...int(1, 1), ...shape]))]);
  return Buffer.concat([
    ...int(1, 8),
    ...message(7, [...nodes, ...text(2, 'graph'), ...weight, ...image, ...message(12, text(1, value))]),
    ...message(8, [...text(1, ''), ...int(2, 17)]),
  ]);
}

/** CPU milliseconds of this process: the machine may be busy with other things. */
function cpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function measure(size, named) {
  const model = await openModel(network(size, named));
  const types = declaredTypes(model);
  const least = {};
  for (let round = 0; round < rounds; round++) {
    const view = viewGraph(model);
    const inferred = { types, nominal: types, nominalInputShape: new Map(), warnings: [] };
    const timed = (what, work) => {
      const started = cpu();
      const result = work();
      least[what] = Math.min(least[what] ?? Infinity, cpu() - started);
      return result;
    };
    const analysis = timed('path', () => analyse(view, inferred));
    const tree = timed('tree', () => moduleTree(analysis.flow, nodePaths(view, analysis.flow.nodes)));
    const shape = timed('topology', () => resolveByTopology(analysis, tree));
    const answer = named ? timed('modules', () => resolveByModules(view, analysis, tree, () => shape)) : shape;
    if (answer.features.length !== STAGES) throw new Error(`${answer.features.length} features, not ${STAGES}`);
  }
  return { nodes: model.graph.nodes.length, named, ...least };
}

const rows = [];
for (const named of [true, false]) for (const size of SIZES) rows.push(await measure(size, named));
const about = { ...machine(root), rounds };
const cell = (row, what) =>
  row[what] === undefined ? '' : `${row[what].toFixed(1)} (${((row[what] * 1000) / row.nodes).toFixed(1)})`;
const report = `# Finding features

Written by \`node bench/features/run.mjs\`. Milliseconds of CPU, in brackets microseconds per node; least of ${rounds} rounds in one process. Types are those the file declares: this is the time of the resolvers alone.
${about.cpu}, ${about.cores} cores, ${about.platform}, Node ${about.node}, commit ${about.commit}, ${about.date}.

${markdown(
  ['nodes', 'names', 'main path', 'module tree', 'by module', 'by shape'],
  rows.map((row) => [
    row.nodes,
    row.named ? 'TorchScript' : 'none',
    cell(row, 'path'),
    cell(row, 'tree'),
    cell(row, 'modules'),
    cell(row, 'topology'),
  ]),
)}
`;
save(
  fileURLToPath(new URL('../results/features.json', import.meta.url)),
  `${JSON.stringify({ ...about, rows }, null, 1)}\n`,
);
save(fileURLToPath(new URL('../results/features.md', import.meta.url)), report);
console.log(report);
