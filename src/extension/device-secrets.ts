/**
 * Where the keys of this device are kept. Knows the editor's secret storage only by shape, so that it runs without one.
 *
 * On a desktop they are in the editor's secret storage. That one belongs to the user's own machine and is the same in
 * every remote window, whereas a device is the machine that the peer runs on: keys carry the id of its home, and a server
 * that somebody merely opens a window on learns nothing of other machines' keys.
 *
 * In a browser the secret storage is the browser's, or only its memory, and says nothing of the machine with the files.
 * There, and where the storage turns out to forget (Linux without a keyring), they are in files that only the user can
 * read, as for the command line.
 */
import { randomBytes } from 'node:crypto';
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import nodePath from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemCode } from '../common/errors.ts';
import { FileSecretStore } from '../common/file-secret-store.ts';
import { withFolderLock } from '../common/folder-lock.ts';
import type { PeerSecrets } from './peer-client.ts';

/** Milliseconds in which one window has what another gave the editor's storage. */
const ARRIVAL = 2_000;

/** `vscode.SecretStorage`, as far as it is used. */
export interface KeyStorage {
  get(key: string): PromiseLike<string | undefined>;
  store(key: string, value: string): PromiseLike<void>;
  delete(key: string): PromiseLike<void>;
}

/**
 * `storage`: undefined where it does not belong to this machine. `onForgotten`: it has lost what it was given in an
 * earlier session, and files are used from now on.
 */
export async function openDeviceSecrets(
  home: string,
  storage: KeyStorage | undefined,
  onForgotten: () => void,
): Promise<PeerSecrets> {
  await mkdir(home, { recursive: true });
  const files = nodePath.join(home, 'secrets');
  if (storage === undefined || (await exists(files))) return openFiles(files);
  // Two windows that start for the first time at once must not each give the home an id.
  const id = await withFolderLock(nodePath.join(home, 'home-id.lock'), () => homeId(home, storage));
  if (id === undefined) {
    onForgotten();
    return openFiles(files);
  }
  return {
    get: async (key) => storage.get(`${id}:${key}`),
    set: async (key, value) => storage.store(`${id}:${key}`, value),
    delete: async (key) => storage.delete(`${id}:${key}`),
  };
}

/** Under which the storage has the keys of this home; undefined when it has lost them. */
async function homeId(home: string, storage: KeyStorage): Promise<string | undefined> {
  const file = nodePath.join(home, 'home-id');
  const known = await readText(file);
  if (known !== undefined && known !== '') return (await remembers(storage, markerOf(known))) ? known : undefined;
  const id = randomBytes(8).toString('hex');
  // In this order, a crash in between is not taken for forgetting.
  await storage.store(markerOf(id), 'kept');
  const temporary = `${file}.${id}`;
  await writeFile(temporary, id, { flag: 'wx', flush: true });
  await rename(temporary, file);
  return id;
}

/** What another window stored just now takes a moment to arrive in this one. */
async function remembers(storage: KeyStorage, marker: string): Promise<boolean> {
  const deadline = performance.now() + ARRIVAL;
  for (;;) {
    if ((await storage.get(marker)) !== undefined) return true;
    if (performance.now() > deadline) return false;
    await delay(50);
  }
}

function markerOf(id: string): string {
  return `${id}:marker`;
}

/** The folder is made at once: it says where the keys of this home are from now on. */
async function openFiles(folder: string): Promise<PeerSecrets> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return new FileSecretStore(folder);
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
