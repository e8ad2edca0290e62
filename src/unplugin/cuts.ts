import { basename, join } from 'node:path';
import { createHash } from 'node:crypto';
import { sidecarPaths } from '../cut-files.js';
import { UsageError } from '../errors.js';
import { extract, type ExtractOptions } from '../extract.js';
import { openModel } from '../open.js';
import { nearestNames } from '../options/nearest.js';
import { configPaths } from '../tensors/beside-model.js';

/** What a cut of a bundle may ask of `extract`: the file that comes of it holds its weights, since it travels alone. */
export type BundledCut = Omit<
  ExtractOptions,
  'weights' | 'align' | 'dryRun' | 'write' | 'noClobber' | 'inPlace' | 'name'
>;

/** The cuts that a program imports, by name: `?featx=NAME`. `?featx` alone is the cut of all features. */
export interface CutsOptions {
  readonly cuts?: Readonly<Record<string, BundledCut>>;
}

/** A cut that a program imports. */
export interface AskedCut {
  /** Path of the model. */
  readonly model: string;
  /** Empty for the cut of all features. */
  readonly name: string;
  readonly fileName: string;
  readonly options: BundledCut;
}

/** The cut that an import asks for, by its path and its query. @throws UsageError naming the cuts that there are */
export function cutAsked(id: string, { cuts = {} }: CutsOptions): AskedCut {
  const at = id.lastIndexOf('?');
  const model = id.slice(0, at);
  const name = new URLSearchParams(id.slice(at)).get('featx') ?? '';
  if (name !== '' && !Object.hasOwn(cuts, name)) {
    const near = nearestNames(name, Object.keys(cuts));
    throw new UsageError(`no cut is called '${name}'${near.length === 0 ? '' : ` (nearest: ${near.join(', ')})`}`, {
      path: model,
      hint: `the plugin's option cuts names them: ${Object.keys(cuts).join(', ') || 'none'}`,
    });
  }
  const stem = basename(model).replace(/\.onnx$/, '');
  return {
    model,
    name,
    fileName: `${stem}.${name.replace(/[^\w-]/g, '_') || 'features'}.onnx`,
    options: name === '' ? {} : cuts[name],
  };
}

/** What a cut is made of: the model, its weights, and configs that lie beside it or may come to. @throws IoError */
export async function filesOfCut({ model }: AskedCut): Promise<readonly string[]> {
  await using opened = await openModel(model);
  return [model, ...sidecarPaths(opened, model), ...configPaths(model)];
}

/** The bytes of a cut. @throws what `extract` throws */
export async function cutBytes({ model, options }: AskedCut): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const write = async (bytes: Uint8Array): Promise<void> => void parts.push(Uint8Array.from(bytes));
  await extract(model, null, { ...options, weights: 'embed', write });
  return Buffer.concat(parts);
}

/** Writes a cut under a folder, at the same path for the same model and name. @throws what `extract` throws */
export async function cutInFile({ model, name, fileName, options }: AskedCut, folder: string): Promise<string> {
  const path = join(folder, createHash('sha256').update(`${model}\0${name}`).digest('hex').slice(0, 12), fileName);
  await extract(model, path, { ...options, weights: 'embed' });
  return path;
}
