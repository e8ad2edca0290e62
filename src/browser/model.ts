import {
  BlobSource,
  indexModel,
  inspectModel,
  IoError,
  UsageError,
  type ByteSource,
  type InspectReport,
  type OnnxModel,
  type SidecarFiles,
} from '../core.js';
import { fingerprint } from '../onnx/fingerprint.js';
import { CONFIG_NAMES, LARGEST_CONFIG } from '../preprocessing/config-names.js';
import type { TextFile } from '../preprocessing/find.js';

/** A model that was chosen: indexed, its features found, its weights where they were. */
export interface ChosenModel {
  readonly name: string;
  readonly model: OnnxModel;
  readonly report: InspectReport;
  /** Files beside it that were chosen with it, or lie beside its URL. */
  readonly files: SidecarFiles;
  /** Files that were chosen with it and say how pictures are prepared. */
  readonly configs: readonly TextFile[];
  /** How long it took to open it, in ms. */
  readonly openedIn: number;
  /** @throws IoError if the file is no longer the one that was opened */
  assertUnchanged(): Promise<void>;
}

const isModel = (name: string): boolean => /\.onnx$/i.test(name);

/**
 * The model among files that were dropped or chosen together; the others hold its weights.
 * @throws UsageError, and what `indexModel` throws
 */
export async function openFiles(files: readonly File[]): Promise<ChosenModel> {
  const models = files.filter(({ name }) => isModel(name));
  const [file, ...others] = files.length === 1 ? files : models;
  if (file === undefined || others.length > 0)
    throw new UsageError(
      `${models.length} of the ${files.length} files that were chosen are called .onnx, and one is opened`,
      {
        hint: 'choose one .onnx file, together with the files beside it that hold its weights',
      },
    );
  const source = new BlobSource(file, file.name);
  return opened(file.name, source, new ChosenFiles(files), await configsAmong(files));
}

async function configsAmong(files: readonly File[]): Promise<readonly TextFile[]> {
  const found: TextFile[] = [];
  for (const name of CONFIG_NAMES) {
    const file = files.find((each) => each.name === name);
    if (file === undefined) continue;
    if (file.size > LARGEST_CONFIG)
      throw new UsageError(`${name} has ${file.size} bytes, and a config has at most ${LARGEST_CONFIG}`);
    found.push({ path: name, text: await file.text() });
  }
  return found;
}

/** A model that is read for the first time. @throws what `indexModel` throws */
export async function opened(
  name: string,
  source: ByteSource,
  files: SidecarFiles,
  configs: readonly TextFile[],
): Promise<ChosenModel> {
  const started = performance.now();
  const model = await indexModel(source);
  const report = await inspectModel(model, { name });
  const openedIn = performance.now() - started;
  // Firefox reads the new bytes of a file that changed without a word.
  const before = source instanceof BlobSource ? fingerprint(model) : null;
  before?.catch(() => undefined);
  const assertUnchanged = async (): Promise<void> => {
    await source.assertUnchanged?.();
    if (before === null || !(source instanceof BlobSource)) return;
    const now = await fingerprint(await indexModel(new BlobSource(source.blob, source.path)));
    if (now !== (await before))
      throw new IoError(`${name} changed since it was opened`, { code: 'FEATX_IO_CHANGED', hint: 'choose it again' });
  };
  return { name, model, report, files, configs, openedIn, assertUnchanged };
}

/** Files that were chosen with a model, by their names: a page sees no folders. */
class ChosenFiles implements SidecarFiles {
  private readonly sources: ReadonlyMap<string, BlobSource>;

  constructor(files: readonly File[]) {
    this.sources = new Map(files.map((file) => [file.name, new BlobSource(file, file.name)]));
  }

  async open(location: string, field: string): Promise<ByteSource> {
    const name = location.split('/').at(-1) ?? location;
    const source = this.sources.get(name);
    if (source !== undefined) return source;
    throw new IoError(`${field} keeps its values in '${name}', which was not chosen`, {
      code: 'FEATX_IO_NOT_FOUND',
      field,
      hint: 'choose it together with the model',
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
