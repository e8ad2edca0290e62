import { writeSync } from 'node:fs';
import { kill, pid } from 'node:process';
import { performTask } from '../batch/tasks.js';
import { serve } from '../batch/worker-main.js';
import { CHANNELS } from '../processes/frames.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';

/**
 * A worker for tests: a model whose name holds `inject-<fault>` meets that fault instead of being worked on.
 */

const FAULTS: { readonly [name: string]: () => void } = {
  hang: () => {
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  },
  crash: () => void kill(pid, 'SIGSEGV'),
  abort: () => void kill(pid, 'SIGABRT'),
  exit: () => process.exit(3),
  garbage: () => void writeSync(CHANNELS.answers, 'Segmentation fault (core dumped) and other noise\n'),
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

/** A disk that turns a bit of a weight in what is written to it. */
const TURNING: FileSystem = {
  ...nodeFileSystem,
  open: async (path, flags, mode) => {
    const handle = await nodeFileSystem.open(path, flags, mode);
    const write = (buffer: Uint8Array, position: number): Promise<number> => {
      const turned = buffer.slice();
      if (turned.length > 1000) turned[Math.floor(turned.length / 2)] ^= 0x40;
      return handle.write(turned, position);
    };
    return {
      read: handle.read.bind(handle),
      write,
      stat: handle.stat.bind(handle),
      chmod: handle.chmod.bind(handle),
      truncate: handle.truncate.bind(handle),
      sync: handle.sync.bind(handle),
      close: handle.close.bind(handle),
    };
  },
};

serve(async (task, onProgress) => {
  if (task.item.includes('turned-bit')) return performTask(task, onProgress, TURNING);

  const [, fault] = /inject-([a-z]+)/.exec(task.item) ?? [];
  if (fault !== undefined && Object.hasOwn(FAULTS, fault)) {
    FAULTS[fault]();
    await new Promise(() => undefined);
  }
  return performTask(task, onProgress);
});
