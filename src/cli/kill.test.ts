import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** The short form of `npm run check:kill`: some kills of each kind, and the writers in place that must tear. */
(process.platform === 'win32' ? test.skip : test)(
  'kill -9 at random moments leaves the old output or the new one, whole',
  () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        join(process.cwd(), 'scripts', 'check-kill.mjs'),
        '--kills',
        '3',
        '--controls',
        '40',
        '--channels',
        '64',
        '--kind',
        'short',
      ],
      { encoding: 'utf8' },
    );
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/single file .*\n.*model \+ sidecar .*\n.*reference .*\n.*control: one file in place/);
  },
);
