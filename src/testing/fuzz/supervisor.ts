import { Child, type Ending } from './child.js';
import { fromText, LARGEST_RSS_MIB, LONGEST_SECONDS, toText, type Found, type RunAnswer } from './protocol.js';
import { minimise } from './minimise.js';
import { targetNamed } from './targets/all.js';
import type { Target } from './target.js';
import { inputOf } from './worker.js';

/** What to run, and for how long: whichever of the two limits comes first. */
export interface CampaignOptions {
  /** Targets and their shares of the time. */
  readonly targets: ReadonlyMap<string, number>;
  readonly seed: number;
  readonly seconds: number;
  /** Per target. */
  readonly executions: number;
  readonly jobs: number;
  /** The bundle of `worker-main.ts`, and the repository. */
  readonly worker: string;
  readonly root: string;
  /** A child that stays at one input for longer is killed. */
  readonly stuckMs?: number;
  /** Attempts at cutting down what kills a child: each costs a child. */
  readonly costlyAttempts?: number;
  readonly onProgress?: (totals: readonly TargetTotals[], secondsLeft: number) => void;
}

export type FindingKind = Found['kind'] | 'crash' | 'hang' | 'memory';

/** The first of its name, cut down. */
export interface Finding {
  readonly target: string;
  readonly kind: FindingKind;
  readonly name: string;
  readonly message: string;
  readonly iteration: number;
  readonly bytes: Uint8Array;
}

export interface TargetTotals {
  readonly target: string;
  executions: number;
  oracleChecks: number;
  /** Of all children together. */
  seconds: number;
  findings: number;
  crashes: number;
  hangs: number;
  foreignErrors: number;
  overMemory: number;
  peakRssMiB: number;
}

export interface CampaignResult {
  readonly totals: readonly TargetTotals[];
  readonly findings: readonly Finding[];
  readonly seconds: number;
}

interface Range {
  readonly target: string;
  readonly start: number;
  readonly end: number;
  readonly careful: boolean;
}

const FIRST_CHUNK = 128;
const CHUNK_SECONDS = 2;
/** A machine that is busy with other things holds up a child now and then: what looks stuck is run again alone. */
const STUCK_MS = 5000;
const MINIMISE_MS = 40_000;
const COSTLY = { attempts: 40, milliseconds: 60_000 };
/** After so many of a kind, others are counted as they come. */
const ENOUGH = 3;

/** Runs a campaign in children, each of which may crash, hang or eat memory. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const campaign = new Campaign(options);
  return campaign.run();
}

class Campaign {
  private readonly totals = new Map<string, TargetTotals>();
  private readonly next = new Map<string, number>();
  /** Left over from children that died. */
  private readonly again: Range[] = [];
  private readonly findings = new Map<string, Finding>();
  private readonly started = performance.now();
  private readonly targets = new Map<string, Target>();

  constructor(private readonly options: CampaignOptions) {
    for (const target of options.targets.keys()) {
      this.next.set(target, 0);
      this.totals.set(target, {
        target,
        executions: 0,
        oracleChecks: 0,
        seconds: 0,
        findings: 0,
        crashes: 0,
        hangs: 0,
        foreignErrors: 0,
        overMemory: 0,
        peakRssMiB: 0,
      });
    }
  }

  async run(): Promise<CampaignResult> {
    const { jobs, onProgress } = this.options;
    const report = setInterval(() => onProgress?.([...this.totals.values()], this.secondsLeft()), 1000);
    try {
      await Promise.all(Array.from({ length: jobs }, () => this.work()));
    } finally {
      clearInterval(report);
    }
    return {
      totals: [...this.totals.values()],
      findings: [...this.findings.values()],
      seconds: (performance.now() - this.started) / 1000,
    };
  }

  private secondsLeft(): number {
    return this.options.seconds - (performance.now() - this.started) / 1000;
  }

  private async work(): Promise<void> {
    let child: Child | null = null;
    try {
      for (let range = this.take(); range !== null; range = this.take()) {
        child ??= this.start();
        const ending = await child.obey({ order: 'run', seed: this.options.seed, ...range }, this.stuckMs());
        const isFine = ending.end === 'answered' && (ending.answer as RunAnswer).overMemory === null;
        if (!isFine) {
          child.kill();
          child = null;
        }
        await this.settle(range, ending);
      }
    } finally {
      child?.kill();
    }
  }

  private stuckMs(): number {
    return this.options.stuckMs ?? STUCK_MS;
  }

  private start(): Child {
    return new Child(this.options.worker, this.options.root);
  }

  /** The next iterations: of the target that has had least of its share. */
  private take(): Range | null {
    const left = this.again.pop();
    if (left !== undefined) return left;
    if (this.secondsLeft() <= 0) return null;
    const open = [...this.options.targets].filter(([target]) => (this.next.get(target) ?? 0) < this.options.executions);
    const [first] = open.sort(
      ([a, shareA], [b, shareB]) => this.totalsOf(a).seconds / shareA - this.totalsOf(b).seconds / shareB,
    );
    if (first === undefined) return null;
    const [target] = first;
    const totals = this.totalsOf(target);
    const start = this.next.get(target) ?? 0;
    const rate = totals.executions / totals.seconds;
    const wanted =
      totals.executions === 0
        ? FIRST_CHUNK
        : Math.ceil(rate * Math.min(CHUNK_SECONDS, Math.max(0.1, this.secondsLeft())));
    const end = Math.min(this.options.executions, start + Math.max(1, wanted));
    this.next.set(target, end);
    // Others that ask meanwhile see that this target is being served.
    totals.seconds += 1e-6;
    return { target, start, end, careful: false };
  }

  private totalsOf(target: string): TargetTotals {
    const totals = this.totals.get(target);
    if (totals === undefined) throw new Error(`no target ${target}`);
    return totals;
  }

  private async settle(range: Range, ending: Ending): Promise<void> {
    const totals = this.totalsOf(range.target);
    if (ending.end === 'answered') return this.settleAnswer(range, ending.answer as RunAnswer);
    const { iteration } = ending;
    totals.executions += iteration + 1 - range.start;
    if (iteration + 1 < range.end) this.again.push({ ...range, start: iteration + 1 });
    if (ending.end === 'crashed')
      await this.note({ target: range.target, kind: 'crash', name: 'crash', message: ending.how, iteration });
    else await this.confirmHang(range.target, iteration);
  }

  private async settleAnswer(range: Range, answer: RunAnswer): Promise<void> {
    const totals = this.totalsOf(range.target);
    totals.executions += answer.executions;
    totals.oracleChecks += answer.deep;
    totals.seconds += answer.seconds;
    const { overMemory } = answer;
    if (overMemory === null) totals.peakRssMiB = Math.max(totals.peakRssMiB, answer.peakRssMiB);
    if (range.start + answer.executions < range.end)
      this.again.push({ ...range, start: range.start + answer.executions });
    for (const found of answer.found) await this.note({ target: range.target, ...found });
    for (const iteration of answer.slow) await this.confirmHang(range.target, iteration);
    if (overMemory !== null) await this.confirmMemory(range, overMemory, answer.peakRssMiB);
  }

  /** Runs one input in a child of its own. */
  private async probe(target: string, bytes: Uint8Array): Promise<Ending> {
    const child = this.start();
    const ending = await child.obey({ order: 'probe', target, bytes: toText(bytes) }, this.stuckMs());
    child.kill();
    return ending;
  }

  private async isHang(target: string, bytes: Uint8Array): Promise<boolean> {
    const ending = await this.probe(target, bytes);
    return (
      ending.end === 'stuck' ||
      (ending.end === 'answered' && ending.answer.answer === 'probe' && ending.answer.cpuSeconds > LONGEST_SECONDS)
    );
  }

  private async confirmHang(target: string, iteration: number): Promise<void> {
    const bytes = this.input(target, iteration);
    if (
      this.totalsOf(target).hangs >= ENOUGH ||
      ((await this.isHang(target, bytes)) && (await this.isHang(target, bytes)))
    )
      await this.note({
        target,
        kind: 'hang',
        name: 'hang',
        message: `one input takes more than ${LONGEST_SECONDS} s`,
        iteration,
      });
  }

  private async isOverMemory(target: string, bytes: Uint8Array): Promise<boolean> {
    const ending = await this.probe(target, bytes);
    return ending.end === 'answered' && ending.answer.answer === 'probe' && ending.answer.peakRssMiB > LARGEST_RSS_MIB;
  }

  /** Looks for the one input; where none alone does it, memory has grown over many, which is a finding as well. */
  private async confirmMemory(
    { target, careful }: Range,
    { start, end }: { readonly start: number; readonly end: number },
    peak: number,
  ): Promise<void> {
    for (let iteration = start; iteration < end && this.totalsOf(target).overMemory < ENOUGH; iteration++) {
      if (await this.isOverMemory(target, this.input(target, iteration)))
        return this.note({
          target,
          kind: 'memory',
          name: 'memory',
          message: `one input takes the process over ${LARGEST_RSS_MIB} MiB`,
          iteration,
        });
    }
    await this.note({
      target,
      kind: 'memory',
      name: 'memory-over-many',
      message: `${peak.toFixed(0)} MiB after iterations ${start} to ${end}${careful ? '' : ', none of which does it alone'}`,
      iteration: end - 1,
    });
  }

  private input(target: string, iteration: number): Uint8Array {
    return inputOf(this.target(target), this.options.seed, iteration);
  }

  private target(name: string): Target {
    const known = this.targets.get(name) ?? targetNamed(name, this.options.root);
    this.targets.set(name, known);
    return known;
  }

  /** Counts a finding; the first of its name is cut down and kept. */
  private async note(found: Omit<Finding, 'bytes'>): Promise<void> {
    const { target, kind, name, iteration } = found;
    const totals = this.totalsOf(target);
    totals.findings++;
    if (kind === 'crash') totals.crashes++;
    if (kind === 'hang') totals.hangs++;
    if (kind === 'foreign') totals.foreignErrors++;
    if (kind === 'memory') totals.overMemory++;
    const key = `${target} ${kind} ${name}`;
    if (this.findings.has(key)) return;
    const bytes = this.input(target, iteration);
    this.findings.set(key, { ...found, bytes });
    this.findings.set(key, { ...found, bytes: await this.cutDown(found, bytes) });
  }

  private async cutDown({ target, kind, name }: Omit<Finding, 'bytes'>, bytes: Uint8Array): Promise<Uint8Array> {
    if (kind === 'law' || kind === 'foreign') {
      const child = this.start();
      const ending = await child.obey({ order: 'minimise', target, bytes: toText(bytes), name }, MINIMISE_MS);
      child.kill();
      return ending.end === 'answered' && ending.answer.answer === 'minimise' ? fromText(ending.answer.bytes) : bytes;
    }
    if (name === 'memory-over-many') return bytes;
    const stillFound = async (candidate: Uint8Array): Promise<boolean> =>
      kind === 'hang'
        ? this.isHang(target, candidate)
        : kind === 'memory'
          ? this.isOverMemory(target, candidate)
          : (await this.probe(target, candidate)).end === 'crashed';
    return minimise(bytes, this.target(target).shape, stillFound, {
      ...COSTLY,
      attempts: this.options.costlyAttempts ?? COSTLY.attempts,
    });
  }
}
