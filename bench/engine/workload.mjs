// The models of the benchmark and what is done with them.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deep, layered, plain } from '../lib/models.mjs';
import { timed } from '../lib/processes.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const featx = join(root, 'bin', 'featx.js');
const script = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Channels of 50 layers of 3x3 convolutions that take about 1, 1.9 and 8 GiB in float32. */
const GIB_1 = 776;
const GIB_1_9 = 1062;
const GIB_8 = 2184;
const LAYERS_OF_60000_NODES = 20_000;
const LAYERS_OF_6000_NODES = 2_000;

const memory = '/dev/shm';

/** A place to write in: a folder of its own, removed at the end. */
export function openPlaces(directory) {
  const create = (label, parent, synced) => ({ label, synced, folder: mkdtempSync(join(parent, 'featx-bench-')) });
  return [create('disk', directory, true), ...(existsSync(memory) ? [create('tmpfs', memory, false)] : [])];
}

/** Removes every folder that `openPlaces` made. */
export function closePlaces(places) {
  for (const { folder } of places) rmSync(folder, { recursive: true, force: true });
}

/** Writes the models that the figures are about, by their kind. */
export function makeModels(places) {
  const [disk] = places;
  const at = (name) => join(disk.folder, `${name}.onnx`);
  const untyped = { hasValueInfo: false };
  return {
    inline: new Map(
      places.map(({ label, folder }) => [label, layered(join(folder, 'inline.onnx'), { channels: GIB_1 })]),
    ),
    large: layered(at('large'), { channels: GIB_1_9, sparse: true }),
    external: layered(at('external'), { channels: GIB_8, sidecar: 'external.weights', sparse: true }),
    deep: deep(at('deep'), { layers: LAYERS_OF_60000_NODES }),
    plain: plain(at('plain'), { layers: LAYERS_OF_60000_NODES }),
    inlineUntyped: layered(at('inline-untyped'), { channels: GIB_1, sparse: true, ...untyped }),
    externalUntyped: layered(at('external-untyped'), {
      channels: GIB_8,
      sidecar: 'external-untyped.weights',
      sparse: true,
      ...untyped,
    }),
    deepUntyped: deep(at('deep-untyped'), { layers: LAYERS_OF_6000_NODES, ...untyped }),
  };
}

const numberOf = (args) => Number(timed(process.execPath, args).stdout);

/** Node that does nothing: a step to time, and the floor of the others. */
export const bare = { name: 'bare', run: () => timed(process.execPath, ['-e', '0']).ms };

/** A featx command as a whole process: a step to time, and `args` to measure its memory with. */
export function command(name, args, output) {
  const whole = [featx, ...args, ...(output === undefined ? [] : ['-o', output]), '--json'];
  const remove = () => output !== undefined && rmSync(output, { force: true });
  const before = () => {
    remove();
    if (output !== undefined && !output.startsWith(memory)) settle();
  };
  return {
    name,
    args: whole,
    before,
    run: () => timed(process.execPath, whole).ms,
    report: () => (remove(), JSON.parse(timed(process.execPath, whole).stdout)),
  };
}

/** `openModel` in a process of its own: a step to time. */
export const opening = (name, { path }) => ({ name, run: () => numberOf([script('./in-process.mjs'), path]) });

/** `cp`, and on a disk also `cp` until the copy is durable, which is what featx promises. */
export function copying(name, { folder, synced }, source) {
  const copy = join(folder, 'copy');
  const before = () => rmSync(copy, { force: true });
  const plain = {
    name: `${name} cp`,
    before: () => (before(), synced && settle()),
    run: () => timed('cp', [source, copy]).ms,
  };
  const durable = {
    name: `${name} cp+sync`,
    before: () => (before(), settle()),
    run: () => timed('sh', ['-c', 'cp "$0" "$1" && sync "$1"', source, copy]).ms,
  };
  return synced ? [plain, durable] : [plain];
}

/** Waits for writes of before, which would otherwise be paid for by what comes next. */
export function settle() {
  timed('sync', []);
}
