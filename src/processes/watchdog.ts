import { Worker } from 'node:worker_threads';

/**
 * Ends this process with its parent even while native code or an endless loop holds the main thread. The parent says
 * who it is: it may be gone before this process can look. On Windows a process keeps the number of its parent for ever,
 * so the parent itself is asked, too.
 */
export function endWithParent(parent: number): void {
  const watch = `const { workerData: parent } = require('node:worker_threads');
const isAlive = () => { try { process.kill(parent, 0); return true; } catch (error) { return error.code === 'EPERM'; } };
setInterval(() => { if (process.ppid !== parent || !isAlive()) process.kill(process.pid, 'SIGKILL'); }, 250);`;
  new Worker(watch, { eval: true, workerData: parent }).unref();
}
