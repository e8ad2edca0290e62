import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type { CONFIG_SCHEMA } from '../batch/config-schema.js';
import type { parseConfig } from '../batch/config.js';
import type { cutOptions } from '../batch/options.js';
import type { main } from '../cli/main.js';
import type { checkOptions } from './check.js';
import type { inFlags } from './reworded.js';

/** What CONTRIBUTING promises: an option is one row. The program is bundled with one row more, and nothing else. */

const TABLE = join(process.cwd(), 'src', 'options', 'cutting.ts');
const BEFORE = '  /** Refuse external data with several hard links. */';
const ROW = `  filling: {
    kind: choice(['zeros', 'noise']),
    in: [...RESULTS],
    flag: '--filling <how>',
    help: 'what stands in for weights that are missing',
    config: 'filling',
  },
`;

interface Program {
  readonly main: typeof main;
  readonly CONFIG_SCHEMA: typeof CONFIG_SCHEMA;
  readonly parseConfig: typeof parseConfig;
  readonly cutOptions: typeof cutOptions;
  readonly checkOptions: (set: 'extract' | 'run' | 'inspect', options: object) => ReturnType<typeof checkOptions>;
  readonly option: (key: string, value?: string) => string;
  readonly inFlags: typeof inFlags;
}

async function programWith(row: string): Promise<Program> {
  const outfile = join(process.cwd(), 'node_modules', '.cache', 'featx', `one-row-${process.pid}-${row.length}.mjs`);
  const table = readFileSync(TABLE, 'utf8');
  expect(table.split(BEFORE)).toHaveLength(2);
  await build({
    stdin: {
      contents: `export { main } from './src/cli/main.ts'; export { CONFIG_SCHEMA } from './src/batch/config-schema.ts';
        export { parseConfig } from './src/batch/config.ts'; export { cutOptions } from './src/batch/options.ts';
        export { checkOptions } from './src/options/check.ts'; export { option } from './src/options/words.ts';
        export { inFlags } from './src/options/reworded.ts';`,
      resolveDir: process.cwd(),
    },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    logLevel: 'error',
    plugins: [
      {
        name: 'one row more',
        setup: (plugins) =>
          plugins.onLoad({ filter: /options[\\/]cutting\.ts$/ }, () => ({
            contents: table.replace(BEFORE, row + BEFORE),
            loader: 'ts',
          })),
      },
    ],
  });
  try {
    return (await import(pathToFileURL(outfile).href)) as Program;
  } finally {
    rmSync(outfile);
  }
}

async function said(program: Program, ...argv: readonly string[]): Promise<{ exit: number; text: string }> {
  let text = '';
  const stream = (): Writable =>
    new Writable({
      write: (chunk, _encoding, done) => {
        text += String(chunk);
        done();
      },
    });
  const exit = await program.main(argv, {
    stdin: Readable.from([]),
    stdout: stream(),
    stderr: stream(),
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    columns: null,
    signal: new AbortController().signal,
  });
  return { exit, text };
}

const optionsSchema = ({ CONFIG_SCHEMA: schema }: Program): string => JSON.stringify(schema);
const CONFIG = JSON.stringify({ models: ['m.onnx'], options: { filling: 'noise' } });

test('one row is a flag, its help, a key of a config, its schema, a check and a word of messages', async () => {
  const program = await programWith(ROW);
  for (const command of ['extract', 'run', 'batch']) {
    const { exit, text } = await said(program, command, '--help-all');
    expect([command, exit, /--filling <how>\s+what stands in for weights/.test(text)]).toEqual([command, 0, true]);
  }
  expect((await said(program, 'inspect', '--help-all')).text).not.toContain('--filling');
  expect(await said(program, 'extract', 'm.onnx', '--filling', 'nois')).toEqual({
    exit: 2,
    text: expect.stringMatching(/--filling.*nois/s),
  });
  expect(optionsSchema(program)).toMatch(/"filling":\{[^}]*"enum":\["zeros","noise"\]/);
  const { options = {} } = program.parseConfig(CONFIG);
  expect(program.cutOptions(options, undefined)).toEqual({ filling: 'noise' });
  expect(() => program.parseConfig(CONFIG.replace('noise', 'nothing'))).toThrow(/filling/);
  program.checkOptions('extract', { filling: 'zeros' });
  expect(() => program.checkOptions('run', { filling: 3 })).toThrow('`filling` is 3, not');
  expect(() => program.checkOptions('extract', { fillin: 'zeros' })).toThrow('did you mean `filling`');
  expect(() => program.checkOptions('inspect', { filling: 'zeros' })).toThrow('has no option `filling`');
  expect(program.inFlags(program.option('filling', 'noise'), 'extract')).toBe('--filling noise');
});

test('without the row there is nothing of it', async () => {
  const program = await programWith('');
  expect((await said(program, 'extract', 'm.onnx', '--filling', 'zeros')).exit).toBe(2);
  expect(() => program.parseConfig(CONFIG)).toThrow(/filling/);
  expect(optionsSchema(program)).not.toContain('filling');
  expect(() => program.checkOptions('extract', { filling: 'zeros' })).toThrow('has no option `filling`');
});
