import { flagFacts, longFlag, rowOf, type OptionKey } from './table.js';
import { readText, type CommandName } from './row.js';

function read(key: OptionKey, command: CommandName, text: string): unknown {
  const { flag = '', kind } = flagFacts(rowOf(key), command);
  return readText(kind, longFlag(flag), text);
}

test.each<[OptionKey, CommandName, string, string]>([
  ['inputs', 'run', '', "--input takes a list of texts, not ''"],
  ['threads', 'run', '5000', "--threads takes a whole number from 1 to 1024, not '5000'"],
  ['timeoutMs', 'run', '2147484', "--timeout takes a whole number of seconds from 1 to 2147483, not '2147484'"],
])('%s of %s cannot be %j', (key, command, text, message) => {
  expect(() => read(key, command, text)).toThrow(expect.objectContaining({ name: 'UsageError', message }));
});

test('what the option can be is read', () => {
  expect([read('inputs', 'run', 'a'), read('threads', 'run', '1024'), read('timeoutMs', 'run', '2147483')]).toEqual([
    ['a'],
    1024,
    2_147_483_000,
  ]);
});
