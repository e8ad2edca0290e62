import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface FixtureFile {
  /** Relative to `fixtures`. */
  readonly name: string;
  readonly path: string;
  readonly read: () => Uint8Array;
}

/** The .onnx files of `fixtures/models`, `fixtures/timm` or `fixtures/zoo`. */
export function fixtureFiles(folder: 'models' | 'timm' | 'zoo'): readonly FixtureFile[] {
  const directory = join(process.cwd(), 'fixtures', folder);
  return readdirSync(directory)
    .filter((file) => file.endsWith('.onnx'))
    .sort()
    .map((file) => ({
      name: `${folder}/${file}`,
      path: join(directory, file),
      read: () => new Uint8Array(readFileSync(join(directory, file))),
    }));
}
