import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { PeerwireError, systemCode } from '../common/errors.ts';
import type { SecretStore } from './secret-store.ts';

/**
 * Secrets of the command line: one JSON file that only its user may read (0600; on Windows the profile's permissions
 * protect it). A write is atomic, and the last one of several wins whole.
 */
export class FileSecretStore implements SecretStore {
  readonly #file: string;
  #writes: Promise<unknown> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
  }

  async get(key: string): Promise<string | undefined> {
    await this.#writes;
    return (await this.#read()).get(key);
  }

  set(key: string, value: string): Promise<void> {
    return this.#change((secrets) => secrets.set(key, value));
  }

  delete(key: string): Promise<void> {
    return this.#change((secrets) => secrets.delete(key));
  }

  /** Changes go one after another, each on what the one before has left. */
  #change(change: (secrets: Map<string, string>) => void): Promise<void> {
    const write = this.#writes.then(async () => {
      const secrets = await this.#read();
      change(secrets);
      await this.#write(JSON.stringify(Object.fromEntries(secrets)));
    });
    this.#writes = write.catch(() => undefined);
    return write;
  }

  async #read(): Promise<Map<string, string>> {
    let text: string;
    try {
      text = await readFile(this.#file, 'utf8');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return new Map();
      throw error;
    }
    const secrets = parseSecrets(text);
    // A file that cannot be read is never replaced: it may hold the only copy of a key.
    if (secrets === undefined) {
      throw new PeerwireError(
        'corrupt',
        `${this.#file} is damaged: restore it from a backup, or move it away to begin anew.`,
      );
    }
    return secrets;
  }

  async #write(text: string): Promise<void> {
    await mkdir(path.dirname(this.#file), { recursive: true, mode: 0o700 });
    // Only now: most commands write none.
    const { randomBytes } = await import('node:crypto');
    const temporary = `${this.#file}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, this.#file);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}

function parseSecrets(text: string): Map<string, string> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const secrets = new Map<string, string>();
  for (const [key, secret] of Object.entries(value)) {
    if (typeof secret !== 'string') return undefined;
    secrets.set(key, secret);
  }
  return secrets;
}
