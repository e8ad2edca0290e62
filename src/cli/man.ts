import { VERSION } from '../version.js';
import type { CompletedCommand, CompletedFlag } from './completion-data.js';

/** Text that troff shows as it is. @see https://man7.org/linux/man-pages/man7/groff_man.7.html */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}

/** The man page of the program: every command and every flag. */
export function manPage(commands: readonly CompletedCommand[]): string {
  const flag = ({ long, short, help, value }: CompletedFlag): string => {
    const given =
      value === 'none' ? '' : typeof value === 'string' ? ` \\fI${value}\\fR` : ` \\fI${value.map(roff).join('|')}\\fR`;
    const names = short === null ? [long] : [short, long];
    return `.TP\n\\fB${names.map(roff).join('\\fR, \\fB')}\\fR${given}\n${roff(help)}`;
  };
  const section = ({ name, summary, flags }: CompletedCommand): string =>
    `.SS featx ${name}\n${roff(summary)}\n${flags.map(flag).join('\n')}`;
  return `.TH FEATX 1 "" "featx ${VERSION}" "User Commands"
.SH NAME
featx \\- find, cut out and run intermediate features of ONNX networks
.SH SYNOPSIS
.B featx
.I COMMAND
[\\fIflags\\fR]
.SH COMMANDS
${commands.map(section).join('\n')}
.SH EXIT STATUS
0 done; 1 some items failed, or a difference; 2 usage or no such name; 3 not a model featx can handle; 4 input/output;
5 refused for safety or a limit; 6 ONNX Runtime; 7 time or memory limit; 70 a bug; 130, 143 interrupted; 141 closed pipe.
`;
}
