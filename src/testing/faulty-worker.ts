import { writeSync } from 'node:fs';
import { kill, pid } from 'node:process';
import { performTask } from '../batch/tasks.js';
import { serve } from '../batch/worker-main.js';

/**
 * A worker for tests: a model whose name holds `inject-<fault>` meets that fault instead of being worked on.
 */

const ANSWERS = 3;

const FAULTS: { readonly [name: string]: () => void } = {
  hang: () => {
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  },
  crash: () => void kill(pid, 'SIGSEGV'),
  abort: () => void kill(pid, 'SIGABRT'),
  exit: () => process.exit(3),
  garbage: () => void writeSync(ANSWERS, 'Segmentation fault (core dumped) and other noise\n'),
  memory: () => {
    const held: Uint8Array[] = [];
    for (;;) {
      // A byte in every page makes it resident.
      const block = new Uint8Array(32 * 1024 * 1024);
      for (let at = 0; at < block.length; at += 4096) block[at] = 1;
      held.push(block);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4);
    }
  },
};

serve(async (task, onProgress) => {
  const [, fault] = /inject-([a-z]+)/.exec(task.item) ?? [];
  if (fault !== undefined && Object.hasOwn(FAULTS, fault)) {
    FAULTS[fault]();
    await new Promise(() => undefined);
  }
  return performTask(task, onProgress);
});
