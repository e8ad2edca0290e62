// Loaded before a program: appends to FEATX_BENCH_LOG one line of JSON per process, this one and the children it
// starts, with its peak memory.
const childProcess = require('node:child_process');
const { appendFileSync, readFileSync } = require('node:fs');

const log = process.env.FEATX_BENCH_LOG;
const write = (record) => appendFileSync(log, `${JSON.stringify(record)}\n`);

/** Peak resident memory of another process in KiB; null where the system does not say. */
function peakOf(pid) {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? Number.NaN) || null;
  } catch {
    return null;
  }
}

const { spawn, kill } = childProcess.ChildProcess.prototype;
childProcess.ChildProcess.prototype.spawn = function (...args) {
  const result = spawn.apply(this, args);
  write({ event: 'child', pid: this.pid });
  return result;
};
// A child that is killed cannot say how much it took.
childProcess.ChildProcess.prototype.kill = function (...args) {
  if (this.pid !== undefined && this.exitCode === null)
    write({ event: 'end', role: 'child', pid: this.pid, peakKiB: peakOf(this.pid) });
  return kill.apply(this, args);
};
process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  write({
    event: 'end',
    role: 'parent',
    pid: process.pid,
    peakKiB: peakOf(process.pid) ?? process.resourceUsage().maxRSS,
    cpuMs: (user + system) / 1000,
  });
});
