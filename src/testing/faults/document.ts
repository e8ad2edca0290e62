import { DISAGREEMENTS, type Disagreement, type FaultCase } from './case.js';
import { CASES } from './cases.js';
import { ROWS, SECTIONS } from './rows.js';

/** docs/internals/faults.md: what featx does about every bad input and fault that its tests know. */
export function faultsDocument(): string {
  const lines = [
    '# Bad inputs and faults',
    '',
    `What featx does about ${ROWS.length} kinds of bad input and fault, and the ${CASES.length} cases that are run through the command line: the exact error code, the exit status, and that inputs, earlier outputs and everything around them stay as they were.`,
    'Exit status: 0 done, 1 partial, 2 usage, 3 model, 4 input/output, 5 refused for safety or by a limit, 6 runtime, 7 time or memory.',
    '',
    'This page is made from `src/testing/faults/`: `node scripts/make-faults-page.mjs` writes it anew. The cases run in `src/faults.test.ts`.',
  ];
  for (const { title, first, rows } of SECTIONS) {
    lines.push('', `## ${title}`);
    rows.forEach(({ input, answer, elsewhere = [] }, index) => {
      const cases = CASES.filter(({ rows: numbers }) => numbers.includes(first + index));
      lines.push('', `### ${first + index}. ${input}`, '', `${capital(answer)}.`, ...table(cases));
      if (elsewhere.length > 0)
        lines.push('', `Shown by: ${elsewhere.map(({ file, test }) => `\`${file}\` *${escaped(test)}*`).join('; ')}.`);
    });
  }
  lines.push(
    '',
    '## Where other readers disagree',
    '',
    'onnx.checker and ONNX Runtime do not accept the same files; some are accepted by both and should not be. What featx does:',
    '',
    '| Input | Cases |',
    '|---|---|',
  );
  for (const [id, what] of Object.entries(DISAGREEMENTS) as [Disagreement, string][])
    lines.push(
      `| ${escaped(what)} | ${CASES.filter(({ line }) => line === id)
        .map(({ name }) => escaped(name))
        .join('; ')} |`,
    );
  return `${lines.join('\n')}\n`;
}

function table(cases: readonly FaultCase[]): readonly string[] {
  if (cases.length === 0) return [];
  return [
    '',
    '| Case | Command | featx | Code | Exit |',
    '|---|---|---|---|---|',
    ...cases.map(
      (fault) =>
        `| ${[escaped(fault.name), command(fault), verdict(fault), fault.code === undefined ? '' : `\`${fault.code}\``, String(fault.exit)].join(' | ')} |`,
    ),
  ];
}

/** The command and the flags that matter to the case. */
function command({ argv }: FaultCase): string {
  const shown = argv.filter(
    (word, index) =>
      index === 0 ||
      (word.startsWith('--') && !['--out', '--tensor', '--node', '--module', '--input'].includes(word)) ||
      ['--mode', '--weights', '--provider', '--max-index', '--max-depth'].includes(argv[index - 1]),
  );
  return `\`${shown.join(' ')}\``;
}

function verdict({ exit, warns }: FaultCase): string {
  if (exit !== 0) return exit === 5 ? 'refuses' : exit === 2 ? 'usage error' : 'error';
  return warns === undefined ? 'accepts' : 'accepts, warns';
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Text in a cell of a table. */
function escaped(text: string): string {
  return text.replace(/[\\|*_<>`[\]]/g, '\\$&');
}
