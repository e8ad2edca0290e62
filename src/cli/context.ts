import type { FeatxError } from '../errors.js';
import { escapeText, jsonLine } from '../report/escape.js';
import { errorRecord, errorText, warningText } from '../report/messages.js';
import type { TextStyle } from '../report/style.js';
import { wrappedLines } from '../report/width.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { Output, type CliIo } from './io.js';
import { errorInFlags, recordInFlags, sentenceInFlags } from './words.js';

/** Flags that every command has. */
export interface CommonFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly color?: boolean;
  readonly debug?: boolean;
  readonly strict?: boolean;
}

/** What a command prints through. */
export class Context {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Style of standard output. */
  readonly style: TextStyle;
  readonly fileSystem: FileSystem;
  private readonly warned = new Set<string>();

  constructor(
    readonly io: CliIo,
    readonly command: string | null,
    readonly flags: CommonFlags,
  ) {
    this.fileSystem = io.fileSystem ?? nodeFileSystem;
    this.stdout = new Output(io.stdout, 'standard output');
    this.stderr = new Output(io.stderr, 'standard error');
    this.style = {
      color: this.wantsColor(io.stdoutIsTerminal),
      unicode: isUnicode(io.env),
      width: io.stdoutIsTerminal ? io.columns : null,
    };
  }

  /** A report record, one line. */
  async record(record: unknown): Promise<void> {
    await this.stdout.write(`${jsonLine(this.inFlags(record))}\n`);
  }

  /** A record whose sentences name flags, as the command line does; the library's name options. */
  inFlags<T>(record: T): T {
    return recordInFlags(record, this.command);
  }

  /** Text for people on standard output, in lines that its terminal has room for. */
  async print(text: string): Promise<void> {
    await this.stdout.write(wrappedLines(text, this.style.width));
  }

  /** A line for people, unless they want quiet. */
  async note(line: string): Promise<void> {
    if (!this.flags.quiet) await this.complain(`${line}\n`);
  }

  /** Warnings, each once; under `--json` they are in the record. */
  async warn(warnings: readonly string[]): Promise<void> {
    if (this.flags.json || this.flags.quiet) return;
    for (const warning of warnings) {
      if (this.warned.has(warning)) continue;
      this.warned.add(warning);
      await this.complain(warningText(sentenceInFlags(warning, this.command), this.errorStyle()));
    }
  }

  /**
   * An error: a record on stdout under `--json`, else text on stderr; its stack under `--debug`. `subject` is the file
   * in hand, where the error names none.
   */
  async fail(
    failure: FeatxError,
    {
      recordIsDue = this.flags.json === true,
      subject,
    }: { readonly recordIsDue?: boolean; readonly subject?: string } = {},
  ): Promise<void> {
    const error = errorInFlags(failure, this.command);
    if (recordIsDue) await this.record(errorRecord(this.command, error, subject));
    else await this.complain(errorText(error, this.errorStyle(), subject));
    if (this.flags.debug) await this.complain(stackText(failure));
  }

  /**
   * Text for people on standard error, in lines that its terminal has room for. It may be closed; that must not hide
   * what is being said on standard output.
   */
  async complain(text: string): Promise<void> {
    await this.stderr.write(wrappedLines(text, this.errorStyle().width)).catch(() => undefined);
  }

  private errorStyle(): TextStyle {
    const { stderrIsTerminal, columns } = this.io;
    return {
      color: this.wantsColor(stderrIsTerminal),
      unicode: this.style.unicode,
      width: stderrIsTerminal ? columns : null,
    };
  }

  /** @see https://no-color.org, https://force-color.org */
  private wantsColor(isTerminal: boolean): boolean {
    const { NO_COLOR, FORCE_COLOR, TERM } = this.io.env;
    if (this.flags.color === false || NO_COLOR) return false;
    if (FORCE_COLOR) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
    return isTerminal && TERM !== 'dumb';
  }
}

/** The locale's character set, where the environment names a locale. @see POSIX.1-2017, 8.2 */
function isUnicode({ LC_ALL, LC_CTYPE, LANG }: CliIo['env']): boolean {
  const locale = LC_ALL || LC_CTYPE || LANG;
  return !locale || /utf-?8/i.test(locale) || !/^(C|POSIX)$|\./.test(locale);
}

function stackText(error: unknown): string {
  const lines: string[] = [];
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    const stack = at.stack ?? `${at.name}: ${at.message}`;
    lines.push(...`${depth === 0 ? '' : 'caused by '}${stack}`.split('\n').map(escapeText));
  }
  return `${lines.join('\n')}\n`;
}
