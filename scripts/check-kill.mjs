// npm run check:kill: kill -9 at random moments of featx extract. After every kill the output is the old one or the new
// one, whole; the sidecar that it names is whole; the inputs are as they were; at most one temporary file is left, and
// none after a run that ends. A writer in place must fail the same check.
//   --kills N     of each kind (default 1000)      --controls N   of the writers in place (default 50)
//   --kind NAME   only this one, or `short`: the first control until it tears                    --channels N   width
//                 of the model; 96 makes 17 MB
//   --seed N      of the moments                   --record       write bench/results/kill.{md,json}
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { layered } from '../bench/lib/models.mjs';
import { machine, markdown, save } from '../bench/lib/table.mjs';
import { built, root } from './ready.mjs';

const { values: flags } = parseArgs({
  options: {
    kills: { type: 'string', default: '1000' },
    controls: { type: 'string', default: '50' },
    channels: { type: 'string', default: '96' },
    seed: { type: 'string', default: '1' },
    kind: { type: 'string' },
    record: { type: 'boolean', default: false },
  },
});
const KILLS = Number(flags.kills);
const CONTROLS = Number(flags.controls);
const isShort = flags.kind === 'short';
const FEATX = join(root, 'bin', 'featx.js');
const IN_PLACE = join(root, 'scripts', 'write-in-place.mjs');
const TEMPORARY = /^\.featx-.*\.tmp$/;
const DATA = /\.([0-9a-f]{8})\.data$/;
const tensor = (layer) => `/layers/layers.${layer}/act/Relu_output_0`;

/**
 * Each writes one of two cuts over the other. Half of the cuts of a single file are streamed, half are a clone that is
 * patched.
 */
const KINDS = {
  'single file': {
    versions: [
      ['--tensor', tensor(44)],
      ['--tensor', tensor(47), '--mode', 'hook'],
    ],
  },
  'model + sidecar': {
    versions: [
      ['--tensor', tensor(44), '--weights', 'external'],
      ['--tensor', tensor(47), '--weights', 'external'],
    ],
  },
  reference: {
    versions: [
      ['--tensor', tensor(44), '--weights', 'reference'],
      ['--tensor', tensor(47), '--weights', 'reference'],
    ],
  },
  'control: one file in place': { control: (from) => [[from.model, 'out.onnx']], like: 'single file' },
  'control: the model before its sidecar': {
    control: (from) => [
      [from.model, 'out.onnx'],
      [from.data, from.dataName],
    ],
    like: 'model + sidecar',
  },
};

/**
 * A generator of numbers from 0 to 1 that says the same for the same seed.
 * @see https://prng.di.unimi.it/splitmix64.c, its 32-bit kin
 */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

const digest = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** A folder with the model, and the two results that may stand there, each made by a run that nobody disturbed. */
class Arena {
  constructor(home, name, model) {
    this.folder = join(home, name.replaceAll(/\W+/g, '-'));
    this.kept = `${this.folder}-kept`;
    this.model = join(this.folder, 'model.onnx');
    this.output = join(this.folder, 'out.onnx');
    mkdirSync(this.folder);
    mkdirSync(this.kept);
    copyFileSync(model, this.model);
    this.input = digest(this.model);
    this.kind = KINDS[name];
    this.results = [];
  }

  argv(version) {
    const { versions } = this.kind.control === undefined ? this.kind : KINDS[this.kind.like];
    return [FEATX, 'extract', this.model, ...versions[version], '-o', this.output, '--quiet'];
  }

  /** What is killed: featx, or the control. */
  command(version) {
    if (this.kind.control === undefined) return this.argv(version);
    return [
      IN_PLACE,
      ...this.kind.control(this.results[version]).flatMap(([from, to]) => [from, join(this.folder, to)]),
    ];
  }

  async make() {
    for (const version of [0, 1]) {
      await ended(spawn(process.execPath, this.argv(version), { stdio: ['ignore', 'inherit', 'inherit'] }));
      const result = {
        model: join(this.kept, `${version}.onnx`),
        sha256: digest(this.output),
        data: null,
        dataName: null,
      };
      copyFileSync(this.output, result.model);
      const names = readdirSync(this.folder).filter(
        (name) => DATA.test(name) && !this.results.some(({ dataName }) => dataName === name),
      );
      if (names.length > 0) {
        result.dataName = names[0];
        result.data = join(this.kept, `${version}.data`);
        copyFileSync(join(this.folder, names[0]), result.data);
      }
      this.results.push(result);
    }
    this.current = 1;
  }

  /** Which result stands there now, and everything that is wrong with it. */
  judge() {
    const names = readdirSync(this.folder);
    const found = existsSync(this.output) ? digest(this.output) : null;
    const version = this.results.findIndex(({ sha256 }) => sha256 === found);
    const wrong = [];
    if (found !== null && version < 0) wrong.push('the output is neither the old nor the new one');
    const needed = this.results[version]?.dataName ?? null;
    if (needed !== null && !names.includes(needed)) wrong.push(`the output names ${needed}, which is missing`);
    for (const name of names)
      if (DATA.test(name) && digest(join(this.folder, name)).slice(0, 8) !== DATA.exec(name)[1])
        wrong.push(`${name} is not what its name says`);
    return {
      version: found === null ? null : version,
      wrong,
      inputsChanged: digest(this.model) !== this.input,
      temporaries: names.filter((name) => TEMPORARY.test(name)).length,
    };
  }

  /** Puts a whole result back after a control tore it. */
  restore(version) {
    for (const name of readdirSync(this.folder)) if (DATA.test(name)) rmSync(join(this.folder, name));
    const { model, data, dataName } = this.results[version];
    copyFileSync(model, this.output);
    if (data !== null) copyFileSync(data, join(this.folder, dataName));
    this.current = version;
  }

  /** Removes the output, or the sidecar that no output needs, so that the next run meets an empty place too. */
  clear(which) {
    if (which === 'output') {
      rmSync(this.output, { force: true });
      this.current = null;
    } else {
      for (const name of readdirSync(this.folder))
        if (DATA.test(name) && name !== this.results[this.current]?.dataName) rmSync(join(this.folder, name));
    }
  }
}

function ended(child) {
  return new Promise((resolve, reject) =>
    child
      .on('error', reject)
      .on('exit', (code, signal) =>
        code === 0 || signal === 'SIGKILL' ? resolve(signal) : reject(new Error(`a run ended with ${code ?? signal}`)),
      ),
  );
}

/**
 * Starts a run and, unless `moment` is null, kills it that many milliseconds after its start or after its first write.
 */
async function start(arena, version, moment) {
  const began = performance.now();
  let wrote = null;
  const kill = async (child, after) => {
    const until = performance.now() + after;
    if (after > 2) await new Promise((resolve) => setTimeout(resolve, after - 1.5));
    while (performance.now() < until);
    child.kill('SIGKILL');
  };
  const watcher = watch(arena.folder);
  const child = spawn(process.execPath, arena.command(version), { stdio: ['ignore', 'ignore', 'inherit'] });
  watcher.on('change', () => {
    if (wrote !== null) return;
    wrote = performance.now();
    if (moment?.from === 'write') void kill(child, moment.ms);
  });
  if (moment?.from === 'start') void kill(child, moment.ms);
  try {
    const signal = await ended(child);
    return {
      isKilled: signal === 'SIGKILL',
      wroteMs: wrote === null ? null : wrote - began,
      ms: performance.now() - began,
    };
  } finally {
    watcher.close();
  }
}

async function campaign(home, name, model, count, draw, report) {
  const arena = new Arena(home, name, model);
  await arena.make();
  const isControl = arena.kind.control !== undefined;
  const calm = [];
  for (let turn = 0; turn < Math.min(6, 2 + count / 10); turn++) {
    calm.push(await start(arena, turn % 2, null));
    arena.current = turn % 2;
  }
  const wholeMs = median(calm.map(({ ms }) => ms));
  const writeMs = median(calm.map(({ ms, wroteMs }) => ms - wroteMs));
  const row = {
    kind: name,
    is_control: isControl,
    kills: 0,
    while_writing: 0,
    ended_before: 0,
    kept_old: 0,
    had_new: 0,
    torn: 0,
    inputs_changed: 0,
    most_temporaries: 0,
    left_after_a_whole_run: 0,
    whole_runs: 0,
    whole_ms: wholeMs,
    write_ms: writeMs,
  };
  const examples = new Set();
  const began = performance.now();
  while (row.kills < count && !isInterrupted && !(isControl && isShort && row.torn > 0)) {
    const version = draw() < 0.7 ? 1 - (arena.current ?? 0) : (arena.current ?? 0);
    if (!isControl && draw() < 0.15) arena.clear(draw() < 0.4 ? 'output' : 'sidecar');
    const before = arena.current;
    const isWhole = !isControl && draw() < 0.08;
    const moment =
      draw() < 0.2 ? { from: 'start', ms: draw() * wholeMs * 1.05 } : { from: 'write', ms: draw() * (writeMs * 1.15) };
    const { isKilled, wroteMs } = await start(arena, version, isWhole ? null : moment);
    const { version: now, wrong, inputsChanged, temporaries } = arena.judge();
    if (isKilled) {
      row.kills++;
      if (wroteMs !== null) row.while_writing++;
      row.most_temporaries = Math.max(row.most_temporaries, temporaries);
      if (now === version && now !== before) row.had_new++;
      else if (now === before) row.kept_old++;
      else if (wrong.length === 0) wrong.push('the output is neither the old nor the new one');
    } else {
      if (isWhole) row.whole_runs++;
      else row.ended_before++;
      if (now !== version) wrong.push('a run that ended left another output than its own');
      row.left_after_a_whole_run = Math.max(row.left_after_a_whole_run, temporaries);
    }
    if (inputsChanged) row.inputs_changed++;
    if (wrong.length > 0) {
      row.torn++;
      for (const line of wrong) examples.add(line);
      arena.restore(before ?? 0);
    } else arena.current = now;
    report(name, row.kills, count, began);
  }
  if (!isControl) {
    await start(arena, 1 - (arena.current ?? 0), null);
    row.left_after_a_whole_run = Math.max(row.left_after_a_whole_run, arena.judge().temporaries);
  }
  rmSync(arena.folder, { recursive: true });
  rmSync(arena.kept, { recursive: true });
  return { ...row, seconds: (performance.now() - began) / 1000, examples: [...examples].slice(0, 5) };
}

let last = 0;
function progress(name, done, count, began) {
  const now = performance.now();
  if (now - last < (process.stderr.isTTY ? 200 : 15_000) && done < count) return;
  last = now;
  const rate = done / ((now - began) / 1000);
  const line = `${name}: ${done} of ${count} kills, ${rate.toFixed(1)} a second, ${((count - done) / rate / 60).toFixed(1)} min left`;
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}${done === count ? '\n' : ''}` : `${line}\n`);
}

function failureOf({
  kind,
  is_control: isControl,
  torn,
  inputs_changed: changed,
  most_temporaries: most,
  left_after_a_whole_run: left,
  examples,
}) {
  if (isControl) return torn > 0 || isInterrupted ? null : `${kind} tore nothing: this check would not notice`;
  const said = [
    ...(torn > 0 ? [`${torn} torn (${examples.join('; ')})`] : []),
    ...(changed > 0 ? [`inputs changed ${changed} times`] : []),
    ...(most > 1 ? [`${most} temporary files at once`] : []),
    ...(left > 0 ? [`${left} left after a whole run`] : []),
  ];
  return said.length === 0 ? null : `${kind}: ${said.join(', ')}`;
}

/** Ctrl-C ends the campaign with the table so far. */
let isInterrupted = false;
process.once('SIGINT', () => (isInterrupted = true));
built();
const home = mkdtempSync(join(tmpdir(), 'featx-check-kill-'));
const rows = [];
try {
  const model = join(home, 'model.onnx');
  const { size } = layered(model, { channels: Number(flags.channels) });
  const draw = random(Number(flags.seed));
  for (const [name, { control }] of Object.entries(KINDS)) {
    if (flags.kind !== undefined && (isShort ? name.startsWith('control: the') : !name.startsWith(flags.kind)))
      continue;
    const count = control === undefined ? KILLS : CONTROLS;
    if (count > 0 && !isInterrupted) rows.push(await campaign(home, name, model, count, draw, progress));
  }
  const about = { ...machine(root), kills: KILLS, controls: CONTROLS, seed: Number(flags.seed), model_bytes: size };
  const table = markdown(
    [
      'kind',
      'kills',
      'while it wrote',
      'ended before',
      'old output',
      'new output',
      'torn',
      'inputs changed',
      'most temporaries',
      'left after a whole run',
      'whole runs',
      'run ms',
      'of it writing',
      'seconds',
    ],
    rows.map((row) => [
      row.kind,
      row.kills,
      row.while_writing,
      row.ended_before,
      row.kept_old,
      row.had_new,
      row.torn,
      row.inputs_changed,
      row.most_temporaries,
      row.left_after_a_whole_run,
      row.whole_runs,
      row.whole_ms.toFixed(0),
      row.write_ms.toFixed(0),
      row.seconds.toFixed(0),
    ]),
  );
  const introduction = `# kill -9

Written by \`npm run check:kill -- --kills ${KILLS} --controls ${CONTROLS} --seed ${flags.seed} --record\`. A model of ${(size / 1e6).toFixed(0)} MB is cut again and again, one cut over the other, and the process is killed at a random moment: one in five anywhere in the run, the others after its first write.
"old" and "new" are outputs whose sha256 is that of an undisturbed run; a sidecar is whole where its sha256 is the one in its name. Controls write in place and must tear. ${about.cpu}, ${about.cores} cores, ${about.platform}, Node ${about.node}, commit ${about.commit}, ${about.date}.
`;
  console.log(`${introduction}\n${table}`);
  if (flags.record) {
    save(join(root, 'bench', 'results', 'kill.json'), `${JSON.stringify({ ...about, rows }, null, 1)}\n`);
    save(join(root, 'bench', 'results', 'kill.md'), `${introduction}\n${table}\n`);
  }
} finally {
  rmSync(home, { recursive: true, force: true });
}
const failures = rows.map(failureOf).filter((failure) => failure !== null);
for (const failure of failures) console.error(failure);
if (failures.length > 0) process.exitCode = 1;
