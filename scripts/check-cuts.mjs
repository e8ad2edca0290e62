// npm run check:cuts: random graphs cut in every mode and every weights mode, each output against the value that ONNX
// Runtime gives for the same tensor of the whole graph, bit for bit, with its optimiser off.
//   --seeds A-B   default 1-5000; the graphs are the same for the same seeds
//   --minutes N   ends after the graph that is looked at then
//   --record      goes on where bench/results/random-graphs.json ends, and writes there
import { parseArgs } from 'node:util';
import { campaign, CAMPAIGN_OPTIONS } from './graphs/campaign.mjs';
import { installed } from './ready.mjs';

const { values: options } = parseArgs({ options: CAMPAIGN_OPTIONS });
installed();
const started = performance.now();
const { differences = [], ...counts } = await campaign('cuts', options);
const seconds = Math.round((performance.now() - started) / 1000);
console.log(`${JSON.stringify(counts)}\n${differences.length} differences, ${seconds} s`);
process.exit(differences.length > 0 ? 1 : 0);
