// npm run fuzz: bundles src/testing/fuzz, so that it runs at full speed, and starts it.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundleInto } from './bundled.mjs';
import { root } from './ready.mjs';

// Of its own: a campaign that goes on for hours starts children of the program that it began with.
const home = join(root, 'node_modules', '.cache', 'featx', `fuzz-${process.pid}`);
try {
  await bundleInto(home, { main: 'src/testing/fuzz/main.ts', worker: 'src/testing/fuzz/worker-main.ts' });
  const { status } = spawnSync(
    process.execPath,
    [join(home, 'main.mjs'), join(home, 'worker.mjs'), root, ...process.argv.slice(2)],
    { stdio: 'inherit' },
  );
  process.exitCode = status ?? 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}
