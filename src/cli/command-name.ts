/** The command that a command line names: its first operand, or what `help` is asked about. */
export function commandName(argv: readonly string[]): string | undefined {
  const operands = argv.filter((argument) => !argument.startsWith('-'));
  return operands[0] === 'help' ? operands[1] : operands[0];
}
