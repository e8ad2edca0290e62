import { Socket } from 'node:net';
import { argv, kill, pid } from 'node:process';
import { CHANNELS, encodeFrame, FrameReader, type Frame } from '../processes/frames.js';
import { endWithParent } from '../processes/watchdog.js';
import { performTask, type Task } from './tasks.js';

/** How often a long copy says that it goes on. */
const PULSE_MS = 250;

/**
 * The program of a worker process: tasks come on standard input and results go to file descriptor 3, one at a time. It
 * ends with its parent, whatever it is doing, and leaves signals from the keyboard to it.
 * @param perform what to do with a task; tests put their own in front
 */
export function serve(perform: typeof performTask = performTask): void {
  endWithParent(Number(argv[2]));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  const requests = new Socket({ fd: CHANNELS.requests, readable: true, writable: false });
  const answers = new Socket({ fd: CHANNELS.answers, readable: false, writable: true });
  const end = (): void => void kill(pid, 'SIGKILL');
  requests.on('close', end);
  answers.on('error', end);
  const reader = new FrameReader();
  const send = (frame: Frame): void => encodeFrame(frame).forEach((chunk) => void answers.write(chunk));
  let done: Promise<void> = Promise.resolve();
  const answer = async (request: { readonly id: number; readonly task: Task }): Promise<void> => {
    let pulse = Date.now();
    const onProgress = (): void => {
      if (Date.now() - pulse < PULSE_MS) return;
      pulse = Date.now();
      send({ value: { id: request.id, pulse }, payloads: [] });
    };
    // The time that a new process takes to start is not the item's.
    send({ value: { id: request.id, pulse }, payloads: [] });
    send({ value: { id: request.id, result: await perform(request.task, onProgress) }, payloads: [] });
  };
  requests.on('data', (chunk) => {
    for (const { value } of reader.push(chunk))
      done = done.then(() => answer(value as { readonly id: number; readonly task: Task }));
  });
}
