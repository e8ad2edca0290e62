import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** What CONTRIBUTING.md promises of the code, held by the linter: each promise broken once. */

const BROKEN: readonly (readonly [rule: string, file: string, source: string])[] = [
  ['no-explicit-any', 'src/any.ts', '/** A. */\nexport const a: any = 1;\n'],
  ['no-non-null-assertion', 'src/non-null.ts', '/** A. */\nexport const a = (b: string | null): string => b!;\n'],
  ['no-default-export', 'src/default.ts', '/** A. */\nexport default function a(): void {}\n'],
  ['documented-exports', 'src/bare.ts', '// A.\nexport function a(): void {}\n'],
  ['short-comments', 'src/long.test.ts', `// ${'word '.repeat(30)}\nexport {};\n`],
  ['max-lines', 'src/lines.ts', `${'/** A. */\n'.repeat(400)}export {};\n`],
];

test('every promise that is broken is named', () => {
  const folder = mkdtempSync(join(tmpdir(), 'featx-lint-'));
  try {
    for (const path of ['.oxlintrc.json', 'tsconfig.json', 'scripts/lint'])
      cpSync(path, join(folder, path), { recursive: true });
    symlinkSync(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'), 'junction');
    for (const [, file, source] of BROKEN) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), source);
    }
    const oxlint = join(process.cwd(), 'node_modules', 'oxlint', 'bin', 'oxlint');
    const { status, stdout } = spawnSync(process.execPath, [oxlint, '--format', 'json', 'src'], {
      cwd: folder,
      encoding: 'utf8',
    });
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] };
    const seen = diagnostics.map(({ code, filename }) => `${filename}: ${code.replace(/^.*\(|\)$/g, '')}`);
    expect(seen.sort()).toEqual(BROKEN.map(([rule, file]) => `${file}: ${rule}`).sort());
    expect(status).toBe(1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
