import { UsageError } from '../errors.js';
import type { CliCommand } from './command.js';
import { completedCommands, type CompletedCommand, type CompletedFlag } from './completion-data.js';
import { ExitCode } from './exit-codes.js';
import { manPage } from './man.js';

type Script = (commands: readonly CompletedCommand[]) => string;

/** What `featx completion` writes. */
const SCRIPTS = { bash, zsh, fish, powershell, man: manPage } as const satisfies { readonly [name: string]: Script };

/** `featx completion`: scripts for shells, and a man page, from the table of options. */
export const completionCommand: CliCommand = {
  configure(command) {
    command
      .argument('<shell>', `${Object.keys(SCRIPTS).join(', ')}; man is a man page`)
      .usage('bash|zsh|fish|powershell|man')
      .addHelpText('after', EXAMPLES);
  },

  async run([shell], _command, context) {
    const found = Object.entries(SCRIPTS).find(([name]) => name === shell);
    if (found === undefined)
      throw new UsageError(`there is no completion for '${shell}'`, {
        hint: `there is one for ${Object.keys(SCRIPTS).join(', ')}`,
      });
    await context.stdout.write(found[1](completedCommands()));
    return ExitCode.done;
  },
};

const words = (flags: readonly CompletedFlag[]): string =>
  flags.flatMap(({ long, short }) => (short === null ? [long] : [short, long])).join(' ');
const isList = (value: CompletedFlag['value']): value is readonly string[] => typeof value !== 'string';

function bash(commands: readonly CompletedCommand[]): string {
  const values = commands.flatMap(({ name, flags }) =>
    flags.flatMap(({ long, value }) => (isList(value) ? [`    '${name} ${long}') words='${value.join(' ')}' ;;`] : [])),
  );
  return `# featx completion bash > /etc/bash_completion.d/featx, or: source <(featx completion bash)
_featx() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in -*) ;; *) command=\${COMP_WORDS[i]}; break ;; esac
  done
  COMPREPLY=()
  case "$command $prev" in
${values.join('\n')}
  esac
  if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$cur")); return; fi
  case $cur in
    -*)
      case $command in
${commands.map(({ name, flags }) => `        ${name}) words='${words(flags)}' ;;`).join('\n')}
        *) words='--help --version' ;;
      esac ;;
    *)
      [ -n "$command" ] && return
      words='${commands.map(({ name }) => name).join(' ')} help' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o bashdefault -o default -F _featx featx
`;
}

/** Text inside the brackets of zsh's \`_arguments\`, inside single quotes. */
const inZsh = (text: string): string => text.replace(/[\\[\]:]/g, '\\$&').replaceAll("'", "'\\''");

function zsh(commands: readonly CompletedCommand[]): string {
  const flag = ({ long, short, help, value }: CompletedFlag): string[] =>
    [long, ...(short === null ? [] : [short])].map((name) => {
      const rest =
        value === 'none' ? '' : `:value:${value === 'file' ? '_files' : isList(value) ? `(${value.join(' ')})` : ' '}`;
      return `        '*${name}[${inZsh(help)}]${rest}'`;
    });
  const cases = commands.map(
    ({ name, flags }) =>
      `    ${name})\n      _arguments -S \\\n${flags.flatMap(flag).join(' \\\n')} \\\n        '*:file:_files' ;;`,
  );
  return `#compdef featx
# featx completion zsh > "\${fpath[1]}/_featx"
_featx() {
  local -a commands
  commands=(
${commands.map(({ name, summary }) => `    '${name}:${summary.replaceAll("'", "'\\''")}'`).join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
_featx "$@"
`;
}

const inFish = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;

function fish(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap(({ name, summary, flags }) => [
    `complete -c featx -n __fish_use_subcommand -f -a ${name} -d ${inFish(summary)}`,
    ...flags.map(({ long, short, help, value }) => {
      const given =
        value === 'none'
          ? ''
          : value === 'file'
            ? ' -r -F'
            : isList(value)
              ? ` -x -a ${inFish(value.join(' '))}`
              : ' -x';
      const letter = short === null ? '' : ` -s ${short.slice(1)}`;
      return `complete -c featx -n '__fish_seen_subcommand_from ${name}'${letter} -l ${long.slice(2)}${given} -d ${inFish(help)}`;
    }),
  ]);
  return `# featx completion fish > ~/.config/fish/completions/featx.fish\n${lines.join('\n')}\n`;
}

const inPowerShell = (text: string): string => `'${text.replaceAll("'", "''")}'`;

function powershell(commands: readonly CompletedCommand[]): string {
  const list = (texts: readonly string[]): string => `@(${texts.map(inPowerShell).join(', ')})`;
  const flags = commands.map(({ name, flags: own }) => `    ${inPowerShell(name)} = ${list(words(own).split(' '))}`);
  const values = commands.flatMap(({ name, flags: own }) =>
    own.flatMap(({ long, value }) =>
      isList(value) ? [`    ${inPowerShell(`${name} ${long}`)} = ${list(value)}`] : [],
    ),
  );
  return `# featx completion powershell >> $PROFILE
Register-ArgumentCompleter -Native -CommandName featx -ScriptBlock {
  param($word, $ast, $position)
  $flags = @{
${flags.join('\n')}
  }
  $values = @{
${values.join('\n')}
  }
  $given = @($ast.CommandElements | ForEach-Object { "$_" } | Select-Object -Skip 1)
  if ($word -ne '' -and $given.Count -gt 0) { $given = @($given | Select-Object -SkipLast 1) }
  $command = $given | Where-Object { $_ -notlike '-*' } | Select-Object -First 1
  $found = if (-not $command) { $flags.Keys }
    elseif ($given.Count -gt 0 -and $values.ContainsKey("$command $($given[-1])")) { $values["$command $($given[-1])"] }
    elseif ($word -like '-*') { $flags[$command] } else { @() }
  $found | Where-Object { $_ -like "$word*" } | Sort-Object | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`;
}

const EXAMPLES = `
Examples:
  source <(featx completion bash)                                       for this shell
  featx completion zsh > "\${fpath[1]}/_featx"
  featx completion fish > ~/.config/fish/completions/featx.fish
  featx completion powershell >> $PROFILE
  featx completion man > ~/.local/share/man/man1/featx.1                then man featx
`;
