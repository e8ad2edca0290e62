import fc from 'fast-check';
import { parseShard } from '../options/values.js';
import { shardFromEnvironment, takeShard } from './shard.js';

test('shards are even, in order, and together the whole', () => {
  fc.assert(
    fc.property(fc.nat(3_000), fc.integer({ min: 1, max: 300 }), (total, count) => {
      const items = Array.from({ length: total }, (_, at) => at);
      const shards = Array.from({ length: count }, (_, at) => takeShard(items, { index: at + 1, count }));
      const sizes = shards.map(({ length }) => length);
      expect(shards.flat()).toEqual(items);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }),
    { seed: 5, numRuns: 200 },
  );
});

test('--shard', () => {
  expect(parseShard('--shard', '3/8')).toEqual({ index: 3, count: 8, from: '--shard' });
  for (const text of ['0/8', '9/8', '3', '3/', '/8', '-1/8', '1.5/8', '1/0', ' 1/2', '1/99999999'])
    expect(() => parseShard('--shard', text)).toThrow(`'${text}'`);
});

/** What `sbatch --array` gives each of its tasks. */
function slurmTasks(ids: readonly number[]): Record<string, string>[] {
  return ids.map((id) => ({
    SLURM_ARRAY_TASK_ID: String(id),
    SLURM_ARRAY_TASK_COUNT: String(ids.length),
    SLURM_ARRAY_TASK_MIN: String(Math.min(...ids)),
    SLURM_ARRAY_TASK_MAX: String(Math.max(...ids)),
    SLURM_ARRAY_TASK_STEP: '1',
  }));
}

test.each([[[0, 1, 2, 3]], [[1, 2, 3]], [[5]], [[0, 4, 8, 12]], [[10, 20, 30]]])('Slurm --array=%j', (ids) => {
  expect(slurmTasks(ids).map(shardFromEnvironment)).toEqual(
    ids.map((_, at) => ({ index: at + 1, count: ids.length, from: 'SLURM_ARRAY_TASK_ID' })),
  );
});

test('a Slurm array with gaps is not guessed at', () => {
  const shards = slurmTasks([1, 2, 9, 22]).map((env) => () => shardFromEnvironment(env));
  for (const shard of shards.slice(1, 3)) expect(shard).toThrow('not evenly spaced');
});

test.each([
  [{ AWS_BATCH_JOB_ARRAY_INDEX: '0', AWS_BATCH_JOB_ARRAY_SIZE: '10' }, 1, 10],
  [{ AWS_BATCH_JOB_ARRAY_INDEX: '9', AWS_BATCH_JOB_ARRAY_SIZE: '10' }, 10, 10],
  [{ JOB_COMPLETION_INDEX: '2', FEATX_SHARD_COUNT: '4' }, 3, 4],
  [{ AZ_BATCH_TASK_ID: 'task-007', FEATX_SHARD_COUNT: '8' }, 8, 8],
])('%j', (env, index, count) => expect(shardFromEnvironment(env)).toMatchObject({ index, count }));

test.each([
  [{ JOB_COMPLETION_INDEX: '2' }, 'FEATX_SHARD_COUNT is not set'],
  [{ JOB_COMPLETION_INDEX: '4', FEATX_SHARD_COUNT: '4' }, 'index 4 of 4'],
  [{ AWS_BATCH_JOB_ARRAY_INDEX: '1' }, 'AWS_BATCH_JOB_ARRAY_SIZE is not set'],
  [{ AZ_BATCH_TASK_ID: 'task', FEATX_SHARD_COUNT: '4' }, 'does not end in a number'],
  [{ SLURM_ARRAY_TASK_ID: 'x' }, "'x', not a whole number"],
])('%j says too little', (env, message) => expect(() => shardFromEnvironment(env)).toThrow(message));

test('elsewhere there is no shard', () => {
  for (const env of [{}, { AZ_BATCH_TASK_ID: 'task-1' }, { SLURM_JOB_ID: '5' }, { FEATX_SHARD_COUNT: '4' }])
    expect(shardFromEnvironment(env)).toBeNull();
});
