// npm run bench:gpu: whole backbones and a graph of ResNet-50's size on every execution provider that loads, against
// the CPU.
//   FEATX_MODELS         folder of NAME.ts.onnx, NAME.dy.onnx and NAME.reference.npz (default ../shared/models, else
//                        fixtures/timm)
//   FEATX_BENCH_DIR      where the large model goes, 110 MB (default: the system's folder for temporary files)
//   FEATX_BENCH_SECONDS  how long each figure is measured (default 3)
//   FEATX_BENCH_MINUTES  after which nothing new is begun (default 8)
//   FEATX_PROVIDERS      providers to try (default: cpu and all others)
// Prints tables; writes bench/results/gpu.json and gpu.md. Ends with 1 where a provider's values are wrong, and with 0
// where a provider is not there.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { built, root } from '../../scripts/ready.mjs';
import { resnet50 } from '../lib/resnet.mjs';
import { vitBase } from '../lib/vit.mjs';
import { machine, markdown, save } from '../lib/table.mjs';

const script = fileURLToPath(new URL('./one.mjs', import.meta.url));
const results = fileURLToPath(new URL('../results/', import.meta.url));
const BUDGET_MS = Number(process.env.FEATX_BENCH_MINUTES ?? 8) * 60_000;
/** Graphics cards multiply in shorter floats by default: TF32 keeps 10 bits. */
const MOST_DEVIATION = 0.02;

built();
const { PROVIDERS, platformLacks } = await import('../../dist/runtime/providers.js');
const providers = process.env.FEATX_PROVIDERS?.split(',') ?? PROVIDERS;
const given = resolve(root, process.env.FEATX_MODELS ?? '../shared/models');
const models = existsSync(given) ? given : join(root, 'fixtures', 'timm');
const folder = mkdtempSync(join(process.env.FEATX_BENCH_DIR ?? tmpdir(), 'featx-bench-gpu-'));
process.on('SIGINT', () => process.exit(130));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const subjects = readdirSync(models)
  .filter((name) => /\.(?:ts|dy)\.onnx$/.test(name))
  .sort()
  .map((name) => {
    const reference = join(models, name.replace(/\.(?:ts|dy)\.onnx$/, '.reference.npz'));
    return { name: basename(name, '.onnx'), path: join(models, name), ...(existsSync(reference) ? { reference } : {}) };
  });
subjects.push({ name: 'ResNet-50-sized', path: resnet50(join(folder, 'resnet50.onnx')).path });
subjects.push({ name: 'ViT-B-sized', path: vitBase(join(folder, 'vit.onnx')).path });

const rows = [];
/** @type {{ provider: string, model: string | null, error: string, hint: string | null }[]} */
const absent = [];
for (const provider of providers) {
  const lacking = platformLacks(provider);
  if (lacking !== null) absent.push({ provider, model: null, error: lacking.reason, hint: lacking.hint });
  else runOn(provider);
}

function runOn(provider) {
  for (const { name, path, reference } of subjects) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${provider}: ${name}`);
    const left = Math.ceil(BUDGET_MS - performance.now());
    const outcome =
      left > 0 ? one(provider, path, reference, left) : { error: 'there was no time left', code: null, hint: null };
    if (outcome.error === undefined) rows.push({ model: name, provider, ...outcome });
    else {
      // What the provider itself lacks, no other model will find.
      const isProvider = outcome.code === 'FEATX_DEVICE' && !rows.some((row) => row.provider === provider);
      absent.push({
        provider,
        model: isProvider ? null : name,
        error: plain(outcome.error),
        hint: outcome.hint === null ? null : plain(outcome.hint),
      });
      if (isProvider) return;
    }
  }
}

function one(provider, path, reference, timeout) {
  const { stdout, stderr, status, signal, error } = spawnSync(
    process.execPath,
    [script, provider, path, ...(reference === undefined ? [] : [reference])],
    { encoding: 'utf8', timeout },
  );
  const lines = (stdout ?? '').trim().split('\n');
  try {
    return JSON.parse(lines.at(-1));
  } catch {
    return {
      error:
        error?.message ??
        `the process ended with ${signal ?? status}: ${(stderr ?? '').trim().split('\n').slice(-3).join(' ')}`,
      code: null,
      hint: null,
    };
  }
}

/** Without the places of this machine. */
function plain(text) {
  return [root, resolve(realpathSync(join(root, 'node_modules')), '..')].reduce(
    (rest, place) => rest.replaceAll(`${place}/`, ''),
    text,
  );
}

function graphicsCards() {
  const { status, stdout } = spawnSync(
    'nvidia-smi',
    ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'],
    { encoding: 'utf8' },
  );
  const cards = status === 0 ? stdout.trim().split('\n') : [];
  const drivers = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
  return [
    cards.length === 0 ? 'no NVIDIA GPU' : cards.join('; '),
    drivers === undefined ? "the system's Vulkan drivers" : `Vulkan driver ${basename(drivers, '.json')}`,
  ].join(', ');
}

const percent = (share) => `${(share * 100).toFixed(0)} %`;
function placed({ placement, ran_on }) {
  if (placement === null) return ran_on;
  const total = placement.reduce((sum, { us }) => sum + us, 0);
  return placement
    .map(({ provider, nodes, us }) => `${provider} ${nodes} nodes, ${percent(total === 0 ? 0 : us / total)}`)
    .join('; ');
}

if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
const about = { ...machine(root), cards: graphicsCards() };
const number = (value) => (value === null ? '' : value.toPrecision(2));
const isRight = ({ provider, ran_on, off_cpu, off_reference }) =>
  ran_on === provider && off_cpu <= MOST_DEVIATION && (off_reference === null || off_reference <= MOST_DEVIATION);
const table = markdown(
  [
    'model',
    'provider',
    'where the nodes ran (profile of the first run)',
    'off CPU',
    'off PyTorch',
    'open ms',
    'first run ms',
    'latency ms',
    'whole network ms',
    'images/s',
    'verdict',
  ],
  rows.map((row) => [
    row.model,
    row.provider,
    placed(row),
    number(row.off_cpu),
    number(row.off_reference),
    row.open_ms.toFixed(0),
    row.first_ms.toFixed(0),
    `${row.latency_ms.toFixed(1)} (${row.rows})`,
    row.whole_ms.toFixed(1),
    `${row.images_per_s.toFixed(1)} (batches of ${row.batch})`,
    isRight(row) ? 'right' : 'WRONG',
  ]),
);
const introduction = `# Execution providers

Written by \`npm run bench:gpu\`; ${about.cpu}, ${about.cores} cores, ${about.memory_gib} GiB, ${about.cards}, ${about.platform}, Node ${about.node}, commit ${about.commit}, ${about.date}.

All features of every model. "off": the largest difference over the feature's standard deviation, from the CPU provider and from what PyTorch computed. Latency is the median of a run of as many pictures as the number in brackets says.
`;
const mending = (hint) => (hint === null ? '' : `. To mend it: ${hint}`);
const missing =
  absent.length === 0
    ? ''
    : `\n## What could not be run\n\n${absent.map(({ provider, model, error, hint }) => `- **${provider}**${model === null ? '' : ` (${model})`}: ${error}${mending(hint)}`).join('\n')}\n`;
save(join(results, 'gpu.json'), `${JSON.stringify({ ...about, rows, absent }, null, 1)}\n`);
save(join(results, 'gpu.md'), `${introduction}\n${table}\n${missing}`);
console.log(`${introduction}\n${table}\n${missing}`);
if (rows.length === 0 || !rows.every(isRight)) process.exitCode = 1;
