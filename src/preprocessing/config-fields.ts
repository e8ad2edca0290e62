import { UsageError } from '../errors.js';
import { option } from '../options/words.js';

/** Reads the fields of one JSON file; what is wrong is named with the file and the field. */
export class Fields {
  constructor(
    private readonly record: { readonly [key: string]: unknown },
    readonly path: string,
    private readonly prefix = '',
  ) {}

  has(key: string): boolean {
    return this.record[key] !== undefined && this.record[key] !== null;
  }

  raw(key: string): unknown {
    return this.record[key];
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.record[key];
    if (value === undefined || value === null) return otherwise;
    return typeof value === 'boolean' ? value : this.wrong(key, 'true or false');
  }

  number(key: string, otherwise: number): number {
    const value = this.record[key];
    if (value === undefined || value === null) return otherwise;
    return typeof value === 'number' && Number.isFinite(value) ? value : this.wrong(key, 'a number');
  }

  text(key: string, otherwise: string): string {
    const value = this.record[key];
    if (value === undefined || value === null) return otherwise;
    return typeof value === 'string' ? value : this.wrong(key, 'a text');
  }

  choice<const T extends string>(key: string, choices: readonly T[], otherwise: T): T {
    const text = this.text(key, otherwise);
    return choices.find((known) => known === text) ?? this.wrong(key, `one of ${choices.join(', ')}`);
  }

  /** Numbers of channels: one for all, or three. */
  channels(key: string, otherwise: readonly number[] | null): readonly number[] | null {
    const value = this.record[key];
    if (value === undefined || value === null) return otherwise;
    if (typeof value === 'number' && Number.isFinite(value)) return [value];
    const isList = Array.isArray(value) && (value.length === 1 || value.length === 3);
    return isList && value.every((one) => typeof one === 'number' && Number.isFinite(one))
      ? (value as readonly number[])
      : this.wrong(key, 'one or three numbers');
  }

  /** @throws UsageError that names the file, the field and what it should be */
  wrong(key: string, wanted: string): never {
    throw notUnderstood(this.path, `${this.prefix}${key} is ${shownValue(this.record[key])}, not ${wanted}`);
  }
}

/** What a file that lies beside a model cannot be read as. */
export function notUnderstood(path: string, why: string): UsageError {
  return new UsageError(`${path} says how pictures are prepared, and featx does not understand it: ${why}`, {
    code: 'FEATX_USAGE_PREPROCESS',
    path,
    hint: `say it with ${option('image.preprocess', 'imagenet')} or another name, or with options of its own such as ${option('image.mean')}`,
  });
}

function shownValue(value: unknown): string {
  return (JSON.stringify(value) ?? 'missing').slice(0, 60);
}
