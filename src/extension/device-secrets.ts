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
import { access, chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import nodePath from 'node:path';
import { systemCode } from '../common/errors.ts';
import type { PeerSecrets } from './peer-client.ts';

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
  if (storage === undefined || (await exists(files))) return fileSecrets(files);
  const idFile = nodePath.join(home, 'home-id');
  const known = await readText(idFile);
  const id = known ?? randomBytes(8).toString('hex');
  const marker = `${id}:marker`;
  if (known === undefined) {
    // In this order, a crash in between is not taken for forgetting.
    await storage.store(marker, 'kept');
    await writeFile(idFile, id);
  } else if ((await storage.get(marker)) === undefined) {
    onForgotten();
    return fileSecrets(files);
  }
  return {
    get: async (key) => storage.get(`${id}:${key}`),
    set: async (key, value) => storage.store(`${id}:${key}`, value),
    delete: async (key) => storage.delete(`${id}:${key}`),
  };
}

/** One file a key, so that windows that write at once do not undo each other. */
async function fileSecrets(folder: string): Promise<PeerSecrets> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // An earlier version, or a copied home, may have been more generous.
  await chmod(folder, 0o700);
  const pathOf = (key: string): string => nodePath.join(folder, Buffer.from(key).toString('base64url'));
  return {
    get: (key) => readText(pathOf(key)),
    async set(key, value) {
      const temporary = `${pathOf(key)}.${randomBytes(6).toString('hex')}`;
      try {
        await writeFile(temporary, value, { mode: 0o600, flag: 'wx', flush: true });
        await rename(temporary, pathOf(key));
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    delete: (key) => rm(pathOf(key), { force: true }),
  };
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
