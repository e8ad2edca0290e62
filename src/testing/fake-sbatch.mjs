// A scheduler for tests: runs the tasks of an array job one after another, with the variables that Slurm gives them.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const flags = new Map();
const operands = [];
for (const argument of process.argv.slice(2)) {
  const [, name, value] = /^--([a-z-]+)(?:=([^]*))?$/.exec(argument) ?? [];
  if (name === undefined) operands.push(argument);
  else flags.set(name, value ?? '');
}
const script = flags.has('wrap') ? `#!/bin/sh\n${flags.get('wrap')}\n` : readFileSync(operands[0], 'utf8');
for (const [, name, value] of script.matchAll(/^#SBATCH --([a-z-]+)=(\S+)/gm))
  if (!flags.has(name)) flags.set(name, value);

/** Task ids of `0-3`, `1,2,9`, `0-12:4`. */
function idsOf(array) {
  return array.split(',').flatMap((part) => {
    const [, first, last, step] = /^(\d+)(?:-(\d+)(?::(\d+))?)?$/.exec(part);
    const ids = [];
    for (let id = Number(first); id <= Number(last ?? first); id += Number(step ?? 1)) ids.push(id);
    return ids;
  });
}

const ids = flags.has('array') ? idsOf(flags.get('array')) : [null];
let failed = false;
for (const id of ids) {
  const array =
    id === null
      ? {}
      : {
          SLURM_ARRAY_JOB_ID: '7',
          SLURM_ARRAY_TASK_ID: id,
          SLURM_ARRAY_TASK_COUNT: ids.length,
          SLURM_ARRAY_TASK_MIN: Math.min(...ids),
          SLURM_ARRAY_TASK_MAX: Math.max(...ids),
          SLURM_ARRAY_TASK_STEP: 1,
        };
  const { status, stdout, stderr } = spawnSync('sh', ['-s'], {
    input: script,
    encoding: 'utf8',
    env: { ...process.env, ...array },
  });
  writeFileSync((flags.get('output') ?? 'slurm.out').replace('%a', id), stdout + stderr);
  failed ||= status !== 0;
}
if (flags.has('parsable')) console.log('7');
process.exit(failed ? 1 : 0);
