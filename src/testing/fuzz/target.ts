import { FeatxError } from '../../errors.js';
import type { MessageType } from './schema.js';
import type { Random } from './random.js';

/** One part of the program under attack. */
export interface Target {
  readonly name: string;
  /**
   * How an input may be cut down without becoming nonsense: bytes in front that say what to do, then a message, or
   * nothing known.
   */
  readonly shape: { readonly prefix: number; readonly type: MessageType | null };
  /** The input of an iteration: the same for the same random numbers. */
  input(random: Random): Uint8Array;
  /**
   * What the program makes of an input: `ok`, or the code of its error. `deep` asks for the checks that cost most.
   * @throws Violation, or whatever the program throws that it should not
   */
  run(bytes: Uint8Array, deep: boolean): Promise<string>;
  /** One in so many executions is deep. */
  readonly deepOnceIn: number;
}

/** A law that does not hold. */
export class Violation extends Error {
  constructor(
    readonly law: string,
    detail: string,
  ) {
    super(`${law}: ${detail}`);
    this.name = 'Violation';
  }
}

/** The code of one of the program's own errors; anything else is thrown on. */
export function codeOf(error: unknown): string {
  if (error instanceof FeatxError) return error.code;
  throw error;
}

/** What a finding is called: a law, or the class of a foreign error and the function that threw it. */
export function nameOfFinding(error: unknown): string {
  if (error instanceof Violation) return error.law;
  if (!(error instanceof Error)) return 'no-error';
  const [, frame = 'nowhere'] = /\n\s+at (?:async )?(?:new )?(?:Object\.)?([\w.$<>]+)/.exec(error.stack ?? '') ?? [];
  return `${error.name}-in-${frame}`;
}
