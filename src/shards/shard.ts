import { ANY, option } from '../options/words.js';
import { UsageError } from '../errors.js';
import type { Shard } from '../options/values.js';

/**
 * The part of a list that belongs to a shard: a contiguous run, sizes differing by at most one, all of them together
 * the list in order.
 */
export function takeShard<T>(items: readonly T[], { index, count }: Pick<Shard, 'index' | 'count'>): readonly T[] {
  const { first, end } = shardRange(items.length, { index, count });
  return items.slice(first, end);
}

/** Positions `[first, end)` of a shard in a list of `total`. */
export function shardRange(
  total: number,
  { index, count }: Pick<Shard, 'index' | 'count'>,
): { readonly first: number; readonly end: number } {
  const size = Math.floor(total / count);
  const larger = total % count;
  const first = (index - 1) * size + Math.min(index - 1, larger);
  return { first, end: first + size + (index <= larger ? 1 : 0) };
}

type Environment = { readonly [name: string]: string | undefined };

/** How many shards there are, where the scheduler tells a task its index only. */
const SHARD_COUNT = 'FEATX_SHARD_COUNT';

/**
 * The shard that a scheduler's array variables name, or null where there are none.
 * - Slurm: `SLURM_ARRAY_TASK_ID` with `_MIN`, `_STEP` and `_COUNT`
 * - AWS Batch: `AWS_BATCH_JOB_ARRAY_INDEX` with `_SIZE`
 * - Kubernetes indexed Jobs: `JOB_COMPLETION_INDEX` with `FEATX_SHARD_COUNT`, which the Job must set to its
 * `completions`
 * - Azure Batch, which has no arrays: the number at the end of `AZ_BATCH_TASK_ID`, from 0 on, where `FEATX_SHARD_COUNT`
 * is set
 * @see https://slurm.schedmd.com/job_array.html
 * @see https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode
 * @see https://learn.microsoft.com/azure/batch/batch-compute-node-environment-variables
 * @throws UsageError where they contradict each other or leave the count open
 */
export function shardFromEnvironment(env: Environment): Shard | null {
  if (env.SLURM_ARRAY_TASK_ID) return slurmShard(env);
  if (env.AWS_BATCH_JOB_ARRAY_INDEX) {
    return fromZero(
      integer(env, 'AWS_BATCH_JOB_ARRAY_INDEX'),
      integer(env, 'AWS_BATCH_JOB_ARRAY_SIZE'),
      'AWS_BATCH_JOB_ARRAY_INDEX',
    );
  }
  if (env.JOB_COMPLETION_INDEX)
    return fromZero(integer(env, 'JOB_COMPLETION_INDEX'), integer(env, SHARD_COUNT), 'JOB_COMPLETION_INDEX');
  if (env.AZ_BATCH_TASK_ID && env[SHARD_COUNT]) {
    const [digits] = /\d{1,7}$/.exec(env.AZ_BATCH_TASK_ID) ?? [];
    if (digits === undefined) throw unclear(`AZ_BATCH_TASK_ID '${env.AZ_BATCH_TASK_ID}' does not end in a number`);
    return fromZero(Number(digits), integer(env, SHARD_COUNT), 'AZ_BATCH_TASK_ID');
  }
  return null;
}

function slurmShard(env: Environment): Shard {
  const id = integer(env, 'SLURM_ARRAY_TASK_ID');
  const count = integer(env, 'SLURM_ARRAY_TASK_COUNT');
  const least = integer(env, 'SLURM_ARRAY_TASK_MIN');
  const most = integer(env, 'SLURM_ARRAY_TASK_MAX');
  const step = count === 1 ? 1 : (most - least) / (count - 1);
  // A list such as --array=1,2,9 does not tell a task its place.
  if (!Number.isInteger(step) || step < 1 || (id - least) % step !== 0)
    throw unclear(`the array of Slurm has ${count} tasks from ${least} to ${most} that are not evenly spaced`);
  return fromZero((id - least) / step, count, 'SLURM_ARRAY_TASK_ID');
}

function fromZero(index: number, count: number, from: string): Shard {
  if (index >= count) throw unclear(`${from} says index ${index} of ${count}`);
  return { index: index + 1, count, from };
}

function integer(env: Environment, name: string): number {
  const text = env[name];
  if (text === undefined || text === '') throw unclear(`${name} is not set`);
  if (!/^\d{1,7}$/.test(text)) throw unclear(`${name} is '${text}', not a whole number`);
  return Number(text);
}

function unclear(what: string): UsageError {
  return new UsageError(`which shard this is cannot be read from the environment: ${what}`, {
    code: 'FEATX_USAGE_SHARD',
    hint: `say it with ${option('shard', ANY)}, or set ${SHARD_COUNT} to the number of tasks; 1/1 works on everything`,
  });
}
