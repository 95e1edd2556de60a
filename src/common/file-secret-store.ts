import { chmod, lstat, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { PeerwireError, systemCode } from './errors.ts';
import { withFolderLock } from './folder-lock.ts';

const TEMPORARY = /\.[0-9a-f]{12}$/;
/** Milliseconds after which a temporary file is the leftover of a crash. */
const LEFTOVER_AGE = 60 * 60 * 1000;

/**
 * Secrets in a folder that only its user may read (0700; on Windows the profile's permissions protect it), one file (0600) a
 * key, so that processes that write at once do not undo each other. A write is atomic and durable: after a crash the file
 * is the old or the new one.
 *
 * Earlier versions of the command line kept them in one file beside it, `<folder>.json`: that is taken over.
 */
export class FileSecretStore {
  readonly #folder: string;
  #ready: Promise<void> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Rejects with `corrupt`, or the system's error. */
  async get(key: string): Promise<string | undefined> {
    await this.#takeOver();
    return await readText(this.#pathOf(key));
  }

  async set(key: string, value: string): Promise<void> {
    await this.#takeOver();
    await this.#write(key, value);
  }

  async delete(key: string): Promise<void> {
    await this.#takeOver();
    await rm(this.#pathOf(key), { force: true });
  }

  #pathOf(key: string): string {
    return path.join(this.#folder, Buffer.from(key).toString('base64url'));
  }

  async #write(key: string, value: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    // Only now: most commands write none.
    const { randomBytes } = await import('node:crypto');
    const temporary = `${this.#pathOf(key)}.${randomBytes(6).toString('hex')}`;
    try {
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(value);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, this.#pathOf(key));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  #takeOver(): Promise<void> {
    this.#ready ??= this.#prepare().catch((error: unknown) => {
      // What is in the way may be moved away meanwhile.
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  /** What writers that were killed left half written. */
  async #removeLeftovers(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const file = path.join(this.#folder, name);
      if (!TEMPORARY.test(name)) continue;
      const stats = await lstat(file).catch(() => undefined);
      if (stats !== undefined && Date.now() - stats.mtimeMs > LEFTOVER_AGE) await rm(file, { force: true });
    }
  }

  async #prepare(): Promise<void> {
    const stats = await lstat(this.#folder).catch(() => undefined);
    // An earlier version, or a copied home, may have been more generous.
    if (stats !== undefined && (stats.mode & 0o077) !== 0 && process.platform !== 'win32')
      await chmod(this.#folder, 0o700);
    if (stats !== undefined) await this.#removeLeftovers();
    const old = `${this.#folder}.json`;
    if ((await readText(old)) === undefined) return;
    await withFolderLock(`${old}.lock`, async () => {
      // Another process may have been faster.
      const text = await readText(old);
      if (text === undefined) return;
      const secrets = parseSecrets(text);
      // A file that cannot be read is never removed: it may hold the only copy of a key.
      if (secrets === undefined) {
        throw new PeerwireError(
          'corrupt',
          `${old} is damaged: restore it from a backup, or move it away to begin anew.`,
        );
      }
      for (const [key, value] of secrets)
        if ((await readText(this.#pathOf(key))) === undefined) await this.#write(key, value);
      await rm(old);
    });
  }
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function parseSecrets(text: string): [string, string][] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const secrets: [string, string][] = [];
  for (const [key, secret] of Object.entries(value)) {
    if (typeof secret !== 'string') return undefined;
    secrets.push([key, secret]);
  }
  return secrets;
}
