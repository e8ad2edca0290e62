// npm run check:bombs: gives the program small files that ask for much, and says what each took above Node that does
// nothing, which has a limit.
//   --save writes bench/results/bombs.md; --only TEXT takes the bombs whose names hold TEXT
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleInto } from './bundled.mjs';
import { built, root } from './ready.mjs';

/** Whatever else the machine does makes runs slower, never faster. */
const TRIES = 3;

const at = process.argv.indexOf('--only');
const only = at < 0 ? '' : process.argv[at + 1];
if (!process.argv.includes('--as-built')) built();
const home = join(root, 'node_modules', '.cache', 'featx', `bombs-${process.pid}`);
mkdirSync(home, { recursive: true });
try {
  await bundleInto(home, ['src/testing/bombs.ts', 'src/testing/measure.ts']);
  const load = (name) => import(pathToFileURL(join(home, name)).href);
  const { BOMBS, HARMLESS, MOST_MIB, MOST_MS } = await load('bombs.mjs');
  const { bareNode, explode } = await load('measure.mjs');
  const best = (run) =>
    Array.from({ length: TRIES }, run).reduce((a, b) => ({
      ...a,
      cpuMs: Math.min(a.cpuMs, b.cpuMs),
      wallMs: Math.min(a.wallMs, b.wallMs),
      peakKiB: Math.min(a.peakKiB, b.peakKiB),
    }));
  const bare = best(() => bareNode(root));
  const rows = [];
  let failed = 0;
  for (const bomb of [HARMLESS, ...BOMBS]) {
    if (!bomb.name.includes(only)) continue;
    const cost = best(() => explode(bomb, root));
    const [cpu, wall, mib] = [cost.cpuMs - bare.cpuMs, cost.wallMs - bare.wallMs, (cost.peakKiB - bare.peakKiB) / 1024];
    const isRight = cost.exit === bomb.exit && cost.code === bomb.code;
    const fits = cpu <= MOST_MS && mib <= MOST_MIB;
    if (!isRight || !fits) failed++;
    rows.push(
      `| ${bomb.name.replaceAll('*', '\\*')} | ${cost.exit} | ${cost.code ?? '-'} | ${cpu.toFixed(0)} | ${wall.toFixed(0)} | ${mib.toFixed(0)} |`,
    );
    console.log(
      `${isRight && fits ? 'ok  ' : 'FAIL'} ${bomb.name}: exit ${cost.exit} ${cost.code ?? ''} cpu +${cpu.toFixed(0)} ms, wall +${wall.toFixed(0)} ms, +${mib.toFixed(0)} MiB${isRight ? '' : ` (expected ${bomb.exit} ${bomb.code ?? ''}) ${cost.stdout.slice(0, 300)}${cost.stderr.slice(0, 300)}`}`,
    );
  }
  console.log(
    `${rows.length - failed} of ${rows.length} within ${MOST_MS} ms of processor time and ${MOST_MIB} MiB above bare Node (${bare.cpuMs.toFixed(0)} ms, ${(bare.peakKiB / 1024).toFixed(0)} MiB)`,
  );
  if (process.argv.includes('--save')) {
    const lines = [
      '# Bombs',
      '',
      `Small files that ask for much: what the program takes above Node that does nothing. At most ${MOST_MS} ms of processor time and ${MOST_MIB} MiB each; \`npm run check:bombs -- --save\` writes this table.`,
      '',
      `Node ${process.version}, ${process.platform} ${process.arch}, ${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}; the least of ${TRIES} runs. Bare Node: ${bare.cpuMs.toFixed(0)} ms, ${(bare.peakKiB / 1024).toFixed(0)} MiB. Wall time holds whatever else the machine did.`,
      '',
      '| bomb | exit | code | cpu ms | wall ms | MiB |',
      '| --- | ---: | --- | ---: | ---: | ---: |',
      ...rows,
      '',
    ];
    writeFileSync(join(root, 'bench', 'results', 'bombs.md'), lines.join('\n'));
  }
  if (failed > 0) process.exitCode = 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}
