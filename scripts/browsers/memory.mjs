// The memory of a browser: of all its processes, each shared page counted once.
import { readdirSync, readFileSync } from 'node:fs';

/** Bytes of the process and all that it started; null where the system does not say. */
export function memoryOf(pid) {
  if (process.platform !== 'linux') return null;
  const parents = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const [, parent] = /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
      parents.set(Number(name), Number(parent));
    } catch {}
  }
  const isOurs = (each) => each === pid || (parents.has(each) && parents.get(each) > 1 && isOurs(parents.get(each)));
  let bytes = 0;
  for (const each of parents.keys())
    if (isOurs(each))
      try {
        bytes += 1024 * Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
      } catch {}
  return bytes;
}
