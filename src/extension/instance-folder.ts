/**
 * Each window's peer keeps its state in a folder that no other running peer uses: the workspace's own, so that transfers
 * come back with it, or a numbered one when there is no workspace or another window has the same one open.
 *
 * The lock is a listening socket (Windows: a pipe): the operating system lets go of it however a window ends, so nothing
 * is ever left locked, and no process id is ever mistaken for another.
 */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import type { Disposable } from '../common/disposable.ts';
import { systemCode } from '../common/errors.ts';
import { withFolderLock } from '../common/folder-lock.ts';

/** Begins the name of a socket in Linux's abstract namespace: unix(7). */
const ABSTRACT = '\0';
/** More windows without a workspace than anyone has open. */
const MOST_WINDOWS = 64;

export interface InstanceFolder extends Disposable {
  readonly path: string;
}

/** Takes the preferred folder, or the first free one of `<shared>/1`, `<shared>/2`… Its owner disposes it. */
export async function takeInstanceFolder(preferred: string | undefined, shared: string): Promise<InstanceFolder> {
  const numbered = Array.from({ length: MOST_WINDOWS }, (_, index) => path.join(shared, String(index + 1)));
  const candidates = preferred === undefined ? numbered : [preferred, ...numbered];
  for (const candidate of candidates) {
    const lock = await tryLock(candidate);
    if (lock !== undefined) return { path: candidate, dispose: () => lock.close() };
  }
  // Nobody has this many windows. One whose state does not come back is better than two that are one peer.
  await mkdir(shared, { recursive: true });
  return { path: await mkdtemp(path.join(shared, 'extra-')), dispose: () => undefined };
}

async function tryLock(folder: string): Promise<Server | undefined> {
  const address = lockAddress(folder);
  const first = await listen(address);
  if (first !== 'in use') return first;
  if (address.startsWith(ABSTRACT) || process.platform === 'win32') return undefined;
  // Two that find the same dead window must not remove each other's new socket.
  return await withFolderLock(`${address}.starting`, async () => {
    if (await answers(address)) return undefined;
    // A file left behind by a window that was killed: nobody listens on it.
    await rm(address, { force: true });
    const second = await listen(address);
    return second === 'in use' ? undefined : second;
  });
}

/** Linux: a socket that is no file, so nothing is left behind. Elsewhere a short name, whatever the folder's length. */
function lockAddress(folder: string): string {
  const name = `peerwire-${createHash('sha256').update(folder).digest('hex').slice(0, 24)}`;
  switch (process.platform) {
    case 'win32':
      return `\\\\.\\pipe\\${name}`;
    case 'linux':
      return `${ABSTRACT}${name}-${userInfo().uid}`;
    default:
      return path.join(tmpdir(), `${name}-${userInfo().uid}.lock`);
  }
}

function listen(address: string): Promise<Server | 'in use'> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error) => (systemCode(error) === 'EADDRINUSE' ? resolve('in use') : reject(error)));
    server.listen(address, () => {
      server.unref();
      resolve(server);
    });
  });
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
