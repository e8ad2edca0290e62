import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { CampaignResult, TargetTotals } from './supervisor.js';

/** One target of one campaign. */
export interface CampaignRecord {
  readonly date: string;
  readonly commit: string;
  readonly node: string;
  readonly cpu: string;
  readonly seed: number;
  readonly target: string;
  readonly executions: number;
  /** Machine time, of all children together. */
  readonly seconds: number;
  readonly findings: number;
  readonly crashes: number;
  readonly hangs: number;
  readonly foreignErrors: number;
  readonly overMemory: number;
  readonly peakRssMiB: number;
  readonly oracleChecks: number;
}

interface FuzzRecord {
  readonly campaigns: readonly CampaignRecord[];
  readonly totals: {
    readonly [target: string]: {
      readonly executions: number;
      readonly goal: number | null;
      readonly machineHours: number;
      readonly findings: number;
      readonly oracleChecks: number;
    };
  };
}

/** Executions to reach, over all campaigns. */
const GOALS: { readonly [target: string]: number } = { reader: 100_000_000, rewrite: 5_000_000, resolve: 1_000_000 };

export interface Circumstances {
  readonly date: string;
  readonly commit: string;
  readonly node: string;
  readonly cpu: string;
  readonly seed: number;
}

/** Adds a campaign to the record and sums up. */
export function recordCampaign(path: string, { totals }: CampaignResult, circumstances: Circumstances): void {
  const known: readonly CampaignRecord[] = existsSync(path)
    ? (JSON.parse(readFileSync(path, 'utf8')) as FuzzRecord).campaigns
    : [];
  const campaigns = [...known, ...totals.map((target) => recordOf(target, circumstances))];
  writeFileSync(path, `${JSON.stringify({ campaigns, totals: sums(campaigns) } satisfies FuzzRecord, null, 1)}\n`);
}

function recordOf(
  {
    target,
    executions,
    oracleChecks,
    seconds,
    findings,
    crashes,
    hangs,
    foreignErrors,
    overMemory,
    peakRssMiB,
  }: TargetTotals,
  { date, commit, node, cpu, seed }: Circumstances,
): CampaignRecord {
  return {
    date,
    commit,
    node,
    cpu,
    seed,
    target,
    executions,
    seconds: Math.round(seconds * 10) / 10,
    findings,
    crashes,
    hangs,
    foreignErrors,
    overMemory,
    peakRssMiB: Math.round(peakRssMiB),
    oracleChecks,
  };
}

function sums(campaigns: readonly CampaignRecord[]): FuzzRecord['totals'] {
  const targets = [...new Set(campaigns.map(({ target }) => target))];
  return Object.fromEntries(
    targets.map((target) => {
      const own = campaigns.filter((campaign) => campaign.target === target);
      const sum = (value: (campaign: CampaignRecord) => number): number => own.map(value).reduce((a, b) => a + b, 0);
      return [
        target,
        {
          executions: sum(({ executions }) => executions),
          goal: GOALS[target] ?? null,
          machineHours: Math.round((sum(({ seconds }) => seconds) / 3600) * 1000) / 1000,
          findings: sum(({ findings }) => findings),
          oracleChecks: sum(({ oracleChecks }) => oracleChecks),
        },
      ];
    }),
  );
}
