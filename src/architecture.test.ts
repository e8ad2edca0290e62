import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { build } from 'esbuild';

/** The rooms and the direction of their imports, as ARCHITECTURE.md says them. */

const SOURCE = join(process.cwd(), 'src');

/** A room may import those below it, and itself; rooms of one row do not import each other. */
const ROWS: readonly (readonly string[])[] = [
  ['cli'],
  ['index'],
  ['unplugin'],
  ['batch'],
  ['shards'],
  ['inspect', 'extract', 'split', 'common', 'run', 'verify', 'doctor', 'cache', 'report-features', 'diff', 'page'],
  ['verify-judge'],
  ['nets', 'run-pooling', 'run-profile', 'run-results', 'verify-pairs', 'verify-runs', 'entry-runs', 'browser'],
  ['device-runs', 'entry-axes', 'entry-mixing', 'freed-entries', 'graph-diff', 'pages', 'token-entries'],
  ['runner', 'chain', 'trunk', 'write-plan', 'provider-libraries'],
  ['core'],
  ['prepare', 'cut-files', 'in-memory', 'model-recipe'],
  ['open'],
  ['runtime', 'tensors', 'report'],
  ['rewrite'],
  ['preprocessing'],
  ['features'],
  ['shapes'],
  ['onnx'],
  ['processes', 'remote', 'measures'],
  ['wire'],
  ['options'],
  ['errors', 'version'],
];

/** Rooms that run in a browser too. */
const ISOMORPHIC = new Set([
  'wire',
  'remote',
  'measures',
  'onnx',
  'shapes',
  'features',
  'preprocessing',
  'rewrite',
  'report',
  'in-memory',
  'browser',
  'core',
  'options',
  'errors',
  'version',
]);

/** What each rule leaves out. ARCHITECTURE.md names every one of these files. */
const EXEMPT = {
  /** May import from Node, though their room is isomorphic. */
  node: [
    'wire/hash.ts',
    'wire/fs.ts',
    'wire/file-source.ts',
    'wire/find-files.ts',
    'wire/put-in-place.ts',
    'wire/sidecar-files.ts',
    'wire/sink.ts',
    'wire/target.ts',
    'wire/temporary-file.ts',
    'wire/temporary-names.ts',
    'wire/writers.ts',
    'remote/download.ts',
    'remote/hub-cache.ts',
    'remote/mirror.ts',
    'remote/open-remote.ts',
    'remote/settings.ts',
  ],
  /** Call the file system: its one room, a child's pipes, and the file without a name that two processes share. */
  files: ['wire/fs.ts', 'runtime/runtime-child.ts', 'processes/shared-file.ts'],
  /** Programs of a process of their own. */
  process: ['runtime/runtime-child.ts'],
} as const;
const ARCHITECTURE = readFileSync('ARCHITECTURE.md', 'utf8');

interface Import {
  readonly from: string;
  readonly to: string;
  /** The whole statement. */
  readonly text: string;
}

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter(
  (path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.startsWith('testing'),
);
const imports: readonly Import[] = files.flatMap((from) => {
  const text = readFileSync(join(SOURCE, from), 'utf8');
  return [
    ...text.matchAll(/^(?:import|export)\s[^;]*?from\s+'([^']+)'|\bimport\('([^']+)'\)|^import\s+'([^']+)'/gms),
  ].map((match) => ({ from, to: match[1] ?? match[2] ?? match[3], text: match[0] }));
});

function target({ from, to }: Import): string {
  return relative(SOURCE, join(SOURCE, dirname(from), to)).replace(/\.js$/, '.ts');
}

/** Whether a rule leaves a file out. */
function isExempt(rule: keyof typeof EXEMPT, path: string): boolean {
  return EXEMPT[rule].some((exempt) => exempt === path.replaceAll(sep, '/'));
}

/** The code of a file: without comments, and without the literal parts of template strings. */
function codeOf(path: string): string {
  return readFileSync(join(SOURCE, path), 'utf8')
    .replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '')
    .replace(/`(?:[^`\\]|\\.)*`/g, (text) => (text.match(/\$\{[^}]*\}/g) ?? []).join());
}

function roomOf(path: string): string {
  return path.split(sep)[0].replace(/\.ts$/, '');
}

function rowOf(room: string): number {
  return ROWS.findIndex((row) => row.includes(room));
}

test('every room has its place', () => {
  expect(imports.length).toBeGreaterThan(50);
  expect(files.filter((path) => rowOf(roomOf(path)) < 0)).toEqual([]);
});

test('ARCHITECTURE.md draws the same rows, and names what is exempt', () => {
  const drawn = ROWS.map((row) => (row.length === 1 ? row[0] : `{${row.join(', ')}}`)).join(' -> ');
  expect(ARCHITECTURE).toContain(`\`${drawn}\``);
  expect(
    Object.values(EXEMPT)
      .flat()
      .filter((path) => !files.includes(path.replaceAll('/', sep)) || !ARCHITECTURE.includes(`\`${path}\``)),
  ).toEqual([]);
});

test('imports run downward only', () => {
  const upward = imports.filter((edge) => {
    if (!edge.to.startsWith('.')) return false;
    const [from, to] = [roomOf(edge.from), roomOf(target(edge))];
    return from !== to && rowOf(to) <= rowOf(from);
  });
  expect(upward.map((edge) => `${edge.from} -> ${target(edge)}`)).toEqual([]);
});

test('no file imports itself in a circle, types counted', () => {
  const edges = new Map<string, string[]>(files.map((path) => [path, []]));
  for (const edge of imports) if (edge.to.startsWith('.')) edges.get(edge.from)?.push(target(edge));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) circles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
    if (done.has(path) || trail.includes(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of files) visit(path, []);
  expect(circles).toEqual([]);
});

test('the core imports nothing from Node', () => {
  const foreign = imports.filter(
    ({ from, to }) => ISOMORPHIC.has(roomOf(from)) && !isExempt('node', from) && to.startsWith('node:'),
  );
  expect(foreign.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
});

test('only the command line touches the streams, arguments and end of the process', () => {
  const touching = files.filter(
    (path) =>
      roomOf(path) !== 'cli' &&
      !isExempt('process', path) &&
      /(?<![.\w])(process\.(stdout|stderr|stdin|exit|exitCode|argv)|console\.)/.test(codeOf(path)),
  );
  expect(touching).toEqual([]);
});

test('only src/wire/fs.ts calls the file system; others may import its constants', () => {
  const calling = imports.filter(
    ({ from, to, text }) =>
      /^(node:)?fs\b/.test(to) && !isExempt('files', from) && !/^import (type )?\{ constants \} from/.test(text),
  );
  expect(calling.map(({ from }) => from)).toEqual([]);
});

describe('one gate for the files beside a model', () => {
  /** The lines of code that a pattern is found in, by file. */
  const found = (pattern: RegExp): readonly string[] =>
    [
      ...new Set(
        files.filter((path) =>
          readFileSync(join(SOURCE, path), 'utf8')
            .split('\n')
            .some((line) => !/^\s*(\/?\*|\/\/)/.test(line) && pattern.test(line)),
        ),
      ),
    ]
      .map((path) => path.replaceAll(sep, '/'))
      .sort();

  test('only it asks for a sidecar', () => {
    expect(found(/\b(files|sidecars)\??\.open\(/)).toEqual(['onnx/external-data.ts']);
  });

  test('only it reads a location to open it; others show it or write it', () => {
    expect(found(/'location'/)).toEqual([
      'inspect.ts',
      'onnx/encode.ts',
      'onnx/external-data.ts',
      'report/inspect-report.ts',
    ]);
    expect(found(/\bsidecarPlaces\(/)).toEqual(['cut-files.ts', 'wire/sidecar-files.ts']);
  });

  test('a path is opened where its user named it, or where it was made', () => {
    expect(found(/\bFileSource\.open\(/)).toEqual([
      'batch/config.ts',
      'batch/journal.ts',
      'batch/look-into.ts',
      'batch/manifest.ts',
      'chain.ts',
      'cli/extract.ts',
      'cli/selection-flags.ts',
      'open.ts',
      'provider-libraries.ts',
      'remote/hub-cache.ts',
      'remote/open-remote.ts',
      'runtime/placement.ts',
      'tensors/beside-model.ts',
      'tensors/lazy-array.ts',
      'wire/hash.ts',
      'wire/sidecar-files.ts',
    ]);
    expect(found(/\b(fs|fileSystem)\.open\(|\bopenAfresh\(/)).toEqual([
      'batch/journal.ts',
      'processes/memory.ts',
      'remote/download.ts',
      'remote/mirror.ts',
      'wire/append.ts',
      'wire/file-source.ts',
      'wire/fs.ts',
      'wire/put-in-place.ts',
      'wire/temporary-file.ts',
    ]);
  });
});

test('src/core.ts bundles for a browser', async () => {
  const result = await build({
    entryPoints: [join(SOURCE, 'core.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    metafile: true,
    logLevel: 'silent',
  });
  const inputs = Object.keys(result.metafile.inputs);
  expect(inputs.some((path) => path.endsWith('onnx/model.ts'))).toBe(true);
  const outside = Object.values(result.metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
  expect(outside).toEqual([]);
  expect(inputs.filter((path) => path.includes('wire/fs.ts') || path.includes('child'))).toEqual([]);
});

test('types that must reach for Node are not in the core either', () => {
  const reachable = new Set<string>();
  const stack = ['core.ts'];
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    if (reachable.has(path)) continue;
    reachable.add(path);
    for (const edge of imports) if (edge.from === path && edge.to.startsWith('.')) stack.push(target(edge));
  }
  expect(reachable.size).toBeGreaterThan(10);
  expect([...reachable].filter((path) => isExempt('node', path))).toEqual([]);
});

test('no file has a default export', () => {
  expect(files.filter((path) => /^export default\b/m.test(readFileSync(join(SOURCE, path), 'utf8')))).toEqual([]);
});
