// Loaded before a program: appends to FEATX_BENCH_CPU the milliseconds of CPU time that it and the children it ended
// took, where the system says.
const childProcess = require('node:child_process');
const { appendFileSync, readFileSync } = require('node:fs');

/** A hundredth of a second, in milliseconds. */
const TICK = 10;

function cpuOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK;
  } catch {
    return 0;
  }
}

let children = 0;
const { kill } = childProcess.ChildProcess.prototype;
childProcess.ChildProcess.prototype.kill = function (...args) {
  if (this.pid !== undefined && this.exitCode === null && this.signalCode === null && !this.killed)
    children += cpuOf(this.pid);
  return kill.apply(this, args);
};
process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  appendFileSync(process.env.FEATX_BENCH_CPU, `${children + (user + system) / 1000}\n`);
});
