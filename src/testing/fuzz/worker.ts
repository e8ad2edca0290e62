import { openSync, readFileSync, writeSync } from 'node:fs';
import { minimise } from './minimise.js';
import {
  fromText,
  LARGEST_RSS_MIB,
  LONGEST_SECONDS,
  toText,
  type Answer,
  type Found,
  type MinimiseOrder,
  type Order,
  type ProbeOrder,
  type RunOrder,
} from './protocol.js';
import { hashOf, Random } from './random.js';
import { targetNamed } from './targets/all.js';
import { nameOfFinding, Violation, type Target } from './target.js';

/** The child of a campaign: runs what it is told, and writes down which iteration it is at before it begins it. */

const EVERY = 64;
const targets = new Map<string, Target>();

function targetOf(name: string, root: string): Target {
  const known = targets.get(name) ?? targetNamed(name, root);
  targets.set(name, known);
  return known;
}

/** The input of an iteration. */
export function inputOf(target: Target, seed: number, iteration: number): Uint8Array {
  return target.input(new Random(seed, hashOf(new TextEncoder().encode(target.name)), iteration));
}

/** Whether an iteration also runs the checks that cost most. */
export function isDeep(target: Target, iteration: number): boolean {
  return iteration % target.deepOnceIn === 0;
}

export function foundBy(error: unknown): Omit<Found, 'iteration'> {
  const message =
    error instanceof Error
      ? error instanceof Violation
        ? error.message
        : (error.stack ?? error.message)
      : String(error);
  return {
    kind: error instanceof Violation ? 'law' : 'foreign',
    name: nameOfFinding(error),
    message: message.slice(0, 2000),
  };
}

function peakRssMiB(): number {
  return (ownPeakKiB() ?? process.resourceUsage().maxRSS) / 1024;
}

/** On Linux `maxRSS` begins at what the parent had when it forked; the peak of this process alone stands in /proc. */
function ownPeakKiB(): number | null {
  if (process.platform !== 'linux') return null;
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return peak === null ? null : Number(peak[1]);
}

async function run(order: RunOrder, root: string, note: (iteration: number) => void): Promise<Answer> {
  const target = targetOf(order.target, root);
  const started = performance.now();
  const found: Found[] = [];
  const slow: number[] = [];
  let deep = 0;
  let clean = order.start;
  let iteration = order.start;
  let overMemory: { readonly start: number; readonly end: number } | null = null;
  let last = started;
  for (; iteration < order.end && overMemory === null; iteration++) {
    note(iteration);
    const isThorough = isDeep(target, iteration);
    if (isThorough) deep++;
    try {
      await target.run(inputOf(target, order.seed, iteration), isThorough);
    } catch (error) {
      found.push({ iteration, ...foundBy(error) });
    }
    const now = performance.now();
    if (now - last > LONGEST_SECONDS * 1000) slow.push(iteration);
    last = now;
    if (!order.careful && iteration % EVERY !== 0) continue;
    if (peakRssMiB() > LARGEST_RSS_MIB) overMemory = { start: clean, end: iteration + 1 };
    else clean = iteration + 1;
  }
  if (overMemory === null && peakRssMiB() > LARGEST_RSS_MIB) overMemory = { start: clean, end: iteration };
  return {
    answer: 'run',
    executions: iteration - order.start,
    deep,
    seconds: (performance.now() - started) / 1000,
    found,
    slow,
    peakRssMiB: peakRssMiB(),
    overMemory,
  };
}

async function probe({ target: name, bytes }: ProbeOrder, root: string): Promise<Answer> {
  const target = targetOf(name, root);
  const before = process.cpuUsage();
  let code: string | null = null;
  let found: Omit<Found, 'iteration'> | null = null;
  try {
    code = await target.run(fromText(bytes), true);
  } catch (error) {
    found = foundBy(error);
  }
  const { user, system } = process.cpuUsage(before);
  return { answer: 'probe', code, found, cpuSeconds: (user + system) / 1e6, peakRssMiB: peakRssMiB() };
}

async function cutDown({ target: name, bytes, name: finding }: MinimiseOrder, root: string): Promise<Answer> {
  const target = targetOf(name, root);
  const stillFound = async (candidate: Uint8Array): Promise<boolean> => {
    try {
      await target.run(candidate, true);
      return false;
    } catch (error) {
      return nameOfFinding(error) === finding;
    }
  };
  return {
    answer: 'minimise',
    bytes: toText(
      await minimise(fromText(bytes), target.shape, stillFound, { attempts: 20_000, milliseconds: 20_000 }),
    ),
  };
}

/** Listens to the parent of this process until it goes. */
export function serve(root: string, positionFile: string): void {
  const descriptor = openSync(positionFile, 'r+');
  const position = new Float64Array(1);
  const positionBytes = new Uint8Array(position.buffer);
  const note = (iteration: number): void => {
    position[0] = iteration;
    writeSync(descriptor, positionBytes, 0, 8, 0);
  };
  const obey = (order: Order): Promise<Answer> =>
    order.order === 'run'
      ? run(order, root, note)
      : order.order === 'probe'
        ? probe(order, root)
        : cutDown(order, root);
  process.on('message', (order: Order) => {
    // What fails here is the harness; the parent counts a child that ends as a crash.
    obey(order).then(
      (answer) => process.send?.(answer),
      (error: unknown) => {
        process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
        process.exit(70);
      },
    );
  });
  process.on('disconnect', () => process.exit(0));
}
