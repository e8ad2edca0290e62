import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The package as its users get it: packed, installed into an empty folder, with and without ONNX Runtime. */

const root = process.cwd();
const model = join(root, 'fixtures', 'timm', 'test_resnet.ts.onnx');
const onWindows = process.platform === 'win32';
const LIMIT_MS = 600_000;
/** Documents with examples in TypeScript. */
const DOCUMENTS = ['README.md', 'docs/running.md', 'docs/batch.md'];
let home: string;
let tarball: string;

function npm(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env): ReturnType<typeof spawnSync> {
  return spawnSync('npm', [...args], { cwd, env, encoding: 'utf8', shell: onWindows, timeout: LIMIT_MS });
}

/** npm's own settings for the process it runs are not those of another folder. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^npm_(config_local_prefix|package_|lifecycle_)/i.test(name) && name !== 'NODE_OPTIONS',
  );
  return { ...Object.fromEntries(kept), npm_config_loglevel: 'error', npm_config_update_notifier: 'false' };
}

/** Installs the tarball; where no registry answers, unpacks it beside links to what this repository has. */
function install(): string {
  const path = folderFor('plain');
  const args = ['--prefer-offline', '--no-audit', '--no-fund', '--fetch-retries=0', '--fetch-timeout=20000'];
  const { status } = npm(['install', tarball, '--omit=optional', ...args], path, cleanEnvironment());
  if (status !== 0) link(path, Object.keys(manifest().dependencies));
  return path;
}

function folderFor(name: string): string {
  const path = join(home, name);
  mkdirSync(path);
  writeFileSync(join(path, 'package.json'), '{"name":"consumer","version":"1.0.0","private":true}');
  return path;
}

function link(path: string, dependencies: readonly string[]): void {
  const modules = join(path, 'node_modules');
  rmSync(modules, { recursive: true, force: true });
  mkdirSync(join(modules, '.bin'), { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', modules]);
  cpSync(join(modules, 'package'), join(modules, 'featx'), { recursive: true });
  rmSync(join(modules, 'package'), { recursive: true });
  for (const name of dependencies) {
    if (!existsSync(join(root, 'node_modules', name))) continue;
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction');
  }
  if (!onWindows) symlinkSync(join('..', 'featx', 'bin', 'featx.js'), join(modules, '.bin', 'featx'));
}

function manifest(): {
  readonly version: string;
  readonly dependencies: object;
  readonly optionalDependencies: object;
  readonly bin: { readonly featx: string };
} {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
}

function inspectWithNpx(cwd: string): {
  readonly feature_info: readonly {
    readonly index: number;
    readonly tensor: string;
    readonly reduction: number | null;
  }[];
} {
  const { status, stdout, stderr } = spawnSync('npx', ['--no-install', 'featx', 'inspect', model, '--json'], {
    cwd,
    env: cleanEnvironment(),
    encoding: 'utf8',
    shell: onWindows,
    timeout: LIMIT_MS,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

function runNode(cwd: string, ...args: readonly string[]): string {
  return execFileSync(process.execPath, args, { cwd, env: cleanEnvironment(), encoding: 'utf8', timeout: LIMIT_MS });
}

const USE = `
  const { inspect, extract, openModel, FeatureInfo } = featx;
  const model = ${JSON.stringify(model)};
  const report = await inspect(model);
  const cut = await extract(model, 'cut.onnx', { out: [1, 2] });
  await using opened = await openModel('cut.onnx');
  console.log(JSON.stringify([report.feature_info.length, cut.features.map(({ output }) => output), opened.graph.outputs.map(({ name }) => name), FeatureInfo.name]));
`.replace('await using opened', 'const opened');

const TYPED_USE = `
  import { inspect, openModel, FeatureInfo, UsageError, type InspectReport } from 'featx';
  import { indexModel, type OnnxModel } from 'featx/core';
  const report: InspectReport = await inspect('m.onnx', { out: [1, -1] });
  const strides: (number | null)[] = report.feature_info.map((feature) => feature.reduction);
  const info = new FeatureInfo([{ num_chs: 64, reduction: 2, module: 'act1' }]);
  const model: OnnxModel = await indexModel(new Uint8Array());
  await using opened = await openModel('m.onnx');
  export const used: unknown[] = [strides, info.channels(0)?.toFixed(), model.graph.nodes.length, opened.irVersion, new UsageError('x').hint?.length];
  // @ts-expect-error a source is a path or bytes
  await inspect(12);
`;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'featx-package-'));
  const packed = npm(['pack', '--ignore-scripts', '--json', '--pack-destination', home], root);
  if (packed.status !== 0) throw new Error(String(packed.stderr));
  const listing: readonly { readonly filename: string }[] = JSON.parse(String(packed.stdout));
  tarball = join(home, listing[0].filename);
}, LIMIT_MS);

afterAll(() => rmSync(home, { recursive: true, force: true }));

test('the tarball holds what runs and what is read, and no tests', () => {
  const names = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split(/\r?\n/);
  for (const name of [
    'bin/featx.js',
    'bin/package.json',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/core.js',
    'dist/core.d.ts',
    'dist/cli/main.cjs',
    'README.md',
    'LICENSE',
  ])
    expect(names).toContain(`package/${name}`);
  expect(names.filter((name) => /\.test\.|\.map$|fixtures|\/testing\/|\.onnx$|(^|\/)src\//.test(name))).toEqual([]);
});

describe('without onnxruntime-node', () => {
  let consumer: string;
  beforeAll(() => (consumer = install()), LIMIT_MS);

  test('onnxruntime-node is not there', () =>
    expect(existsSync(join(consumer, 'node_modules', 'onnxruntime-node'))).toBe(false));

  test(
    'npx featx inspect finds the features',
    () => {
      expect(inspectWithNpx(consumer).feature_info.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
    },
    LIMIT_MS,
  );

  test('import', () => {
    writeFileSync(join(consumer, 'use.mjs'), `import * as featx from 'featx';\n${USE}`);
    expect(JSON.parse(runNode(consumer, 'use.mjs'))).toEqual([5, ['1', '2'], ['1', '2'], 'FeatureInfo']);
  });

  test('require', () => {
    writeFileSync(join(consumer, 'use.cjs'), `const featx = require('featx');\n(async () => {${USE}})();`);
    expect(JSON.parse(runNode(consumer, '--no-warnings', 'use.cjs'))).toEqual([
      5,
      ['1', '2'],
      ['1', '2'],
      'FeatureInfo',
    ]);
  });

  test('featx/core works on bytes', () => {
    writeFileSync(
      join(consumer, 'core.mjs'),
      `import { readFile } from 'node:fs/promises';
       import { indexModel, viewGraph } from 'featx/core';
       const model = await indexModel(new Uint8Array(await readFile(${JSON.stringify(model)})));
       console.log(viewGraph(model).outputs.size);`,
    );
    expect(runNode(consumer, 'core.mjs').trim()).toBe('1');
  });

  test('TypeScript sees the types', () => {
    symlinkSync(join(root, 'node_modules', '@types'), join(consumer, 'node_modules', '@types'), 'junction');
    writeFileSync(join(consumer, 'use.mts'), TYPED_USE);
    const examples = DOCUMENTS.flatMap((path) =>
      [...readFileSync(join(root, path), 'utf8').matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code),
    ).map((code, at) => ({ name: `example${at}.mts`, code }));
    expect(examples.length).toBeGreaterThan(3);
    for (const { name, code } of examples) writeFileSync(join(consumer, name), code);
    // A CommonJS file may require an ES module from Node 20.19 on.
    writeFileSync(
      join(consumer, 'use.cts'),
      `import { VERSION } from 'featx';\nexport const length: number = VERSION.length;`,
    );
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const flags = [
      '--noEmit',
      '--strict',
      '--target',
      'es2022',
      '--module',
      'nodenext',
      '--types',
      'node',
      'use.mts',
      ...examples.map(({ name }) => name),
      'use.cts',
    ];
    const { status, stdout } = spawnSync(process.execPath, [compiler, ...flags], {
      cwd: consumer,
      encoding: 'utf8',
      timeout: LIMIT_MS,
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });
});

describe('with onnxruntime-node', () => {
  let consumer: string;
  // Linked, since npm would unpack anew the 300 MB that lie here.
  beforeAll(() => {
    const { dependencies, optionalDependencies } = manifest();
    link((consumer = folderFor('runtime')), Object.keys({ ...dependencies, ...optionalDependencies }));
  }, LIMIT_MS);

  test(
    'npx featx inspect knows every stride and shape',
    () => {
      // Platforms for which onnxruntime-node has no binary install without it.
      if (!existsSync(join(consumer, 'node_modules', 'onnxruntime-node'))) return;
      expect(inspectWithNpx(consumer).feature_info.map(({ reduction }) => reduction)).toEqual([2, 4, 8, 16, 32]);
    },
    LIMIT_MS,
  );
});
