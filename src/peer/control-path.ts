import { lstat, mkdir, realpath } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { PeerwireError } from '../common/errors.ts';

/** `sun_path` holds 104 bytes on macOS and 108 on Linux, with the final zero. */
const SOCKET_PATH_SIZE = 103;

/**
 * Where the peer of a home listens for commands: a socket in the home, or, when that path is too long for a socket, one
 * in a private directory of the temporary folder; on Windows a named pipe. Creates what directories it needs.
 */
export async function controlPath(home: string): Promise<string> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  // One home is one peer, by whatever path it is reached.
  const real = await realpath(home);
  if (process.platform === 'win32') return `\\\\.\\pipe\\peerwire-${await digestOf(real)}`;
  const inHome = path.join(real, 'control.sock');
  if (Buffer.byteLength(inHome) <= SOCKET_PATH_SIZE) return inHome;
  return path.join(await privateTemporaryFolder(), `${await digestOf(real)}.sock`);
}

async function digestOf(home: string): Promise<string> {
  // Only now: loading it takes a tenth of the time of a command.
  const { createHash } = await import('node:crypto');
  return createHash('sha256').update(home).digest('hex').slice(0, 32);
}

/** The name is predictable, so others could have made the directory: it must be ours alone. */
async function privateTemporaryFolder(): Promise<string> {
  const { uid } = userInfo();
  const folder = path.join(tmpdir(), `peerwire-${uid}`);
  await mkdir(folder, { mode: 0o700 }).catch(() => undefined);
  const stats = await lstat(folder);
  if (!stats.isDirectory() || stats.uid !== uid || (stats.mode & 0o077) !== 0) {
    throw new PeerwireError(
      'permission',
      `${folder} is not private: remove it, or choose a --home with a shorter path.`,
    );
  }
  return folder;
}
