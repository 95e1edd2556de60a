import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage, PeerwireError, systemCode, toPeerwireError } from '../common/errors.ts';
import { syncFolder } from './files/sync.ts';

/** Names that are safe on every system; temporary and corrupt files are told from them by their endings. */
const NAME = /^[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*$/i;
const TEMPORARY = /\.tmp-[0-9a-f]{12}$/;
const CORRUPT = /\.corrupt-[0-9]+$/;
/** Milliseconds after which a temporary file is the leftover of a crash, and not of a process that writes right now. */
const LEFTOVER_AGE = 60 * 60 * 1000;
/** On Windows a virus scanner may hold the old file for a moment. */
const RENAME_ATTEMPTS = 10;
const RENAME_PAUSE = 20;

interface Change {
  /** Undefined: delete the file. */
  data: Buffer | undefined;
  readonly done: Promise<void>;
}

/**
 * Small files of state in one private (0700) directory. A write is atomic and durable (temporary file, fsync, rename):
 * after a crash the file is either the old or the new one. Writes of one name happen in order; of several that wait,
 * only the last is carried out.
 */
export class StateStore {
  readonly dir: string;
  readonly #report: (message: string) => void;
  /** By name: what is to be done after the change under way. */
  readonly #next = new Map<string, Change>();
  /** By name: settles when everything asked for so far is done. */
  readonly #last = new Map<string, Promise<void>>();
  #ready: Promise<void> | undefined;

  /** `report` hears one sentence about each corrupt file that was set aside as `<name>.corrupt-<n>`. */
  constructor(dir: string, report: (message: string) => void = () => {}) {
    this.dir = dir;
    this.#report = report;
  }

  /**
   * The parsed file, or undefined when there is none. What does not parse (it is not JSON, or `parse` throws) is set aside and
   * reported, and counts as none. Rejects with 'permission' or 'io'.
   */
  async readJson(name: string): Promise<unknown>;
  async readJson<T>(name: string, parse: (value: unknown) => T): Promise<T | undefined>;
  async readJson(name: string, parse: (value: unknown) => unknown = (value) => value): Promise<unknown> {
    const bytes = await this.readBytes(name);
    if (bytes === undefined) return undefined;
    try {
      return parse(JSON.parse(bytes.toString('utf8')));
    } catch (error) {
      await this.#setAside(name, error);
      return undefined;
    }
  }

  /** Resolves when the value, or a later one of the same name, is on disk. Rejects with 'disk-full', 'permission', 'io'. */
  async writeJson(name: string, value: unknown): Promise<void> {
    const text: string | undefined = JSON.stringify(value);
    if (text === undefined) throw new PeerwireError('internal', `There is no value for the state “${name}”.`);
    await this.#change(name, Buffer.from(text));
  }

  /** What was last written under the name, on disk yet or not; undefined when there is none. */
  async readBytes(name: string): Promise<Buffer | undefined> {
    checkName(name);
    const next = this.#next.get(name);
    if (next) return next.data && Buffer.from(next.data);
    await this.#last.get(name)?.catch(() => undefined);
    try {
      return await readFile(join(this.dir, name));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw toPeerwireError(error, `Reading the state “${name}”`);
    }
  }

  /** See `writeJson`. The bytes are copied. */
  async writeBytes(name: string, value: Uint8Array): Promise<void> {
    await this.#change(name, Buffer.from(value));
  }

  /** Deletes a file; none there is fine. */
  async delete(name: string): Promise<void> {
    await this.#change(name, undefined);
  }

  /** Names of all files on disk, without temporary and corrupt ones. */
  async list(): Promise<string[]> {
    await this.flush();
    try {
      const names = await readdir(this.dir);
      return names.filter((name) => NAME.test(name) && !TEMPORARY.test(name) && !CORRUPT.test(name)).sort();
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return [];
      throw toPeerwireError(error, 'Listing the state');
    }
  }

  /** For `withFolderLock`, where several processes share the directory; it is made. No state has such a name. */
  async lockPath(name: string): Promise<string> {
    checkName(name);
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    return join(this.dir, `.${name}.lock`);
  }

  /** Resolves when all changes asked for so far have ended, well or not: whoever asked for one hears how. */
  async flush(): Promise<void> {
    await Promise.allSettled(this.#last.values());
  }

  async #change(name: string, data: Buffer | undefined): Promise<void> {
    checkName(name);
    const waiting = this.#next.get(name);
    if (waiting) {
      waiting.data = data;
      return await waiting.done;
    }
    const before = this.#last.get(name)?.catch(() => undefined);
    const carryOut = async (): Promise<void> => {
      await before;
      this.#next.delete(name);
      await this.#carryOut(name, change.data);
    };
    // A microtask later, so that `change` exists.
    const change: Change = { data, done: Promise.resolve().then(carryOut) };
    this.#next.set(name, change);
    this.#last.set(name, change.done);
    try {
      await change.done;
    } finally {
      if (this.#last.get(name) === change.done) this.#last.delete(name);
    }
  }

  async #carryOut(name: string, data: Buffer | undefined): Promise<void> {
    try {
      this.#ready ??= this.#prepare();
      await this.#ready;
      if (data) await this.#replace(name, data);
      else await rm(join(this.dir, name), { force: true });
      await syncFolder(this.dir);
    } catch (error) {
      // The directory may have been the problem, or may be gone.
      this.#ready = undefined;
      throw toPeerwireError(error, `Saving the state “${name}”`);
    }
  }

  async #prepare(): Promise<void> {
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    const old = Date.now() - LEFTOVER_AGE;
    for (const name of await readdir(this.dir)) {
      if (!TEMPORARY.test(name)) continue;
      const stats = await lstat(join(this.dir, name)).catch(() => undefined);
      if (stats && stats.mtimeMs < old) await rm(join(this.dir, name), { force: true });
    }
  }

  async #replace(name: string, data: Buffer): Promise<void> {
    const temporary = join(this.dir, `${name}.tmp-${randomBytes(6).toString('hex')}`);
    try {
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(data);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await renameOver(temporary, join(this.dir, name));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  async #setAside(name: string, cause: unknown): Promise<void> {
    const taken = new Set(await readdir(this.dir));
    let number = 1;
    while (taken.has(`${name}.corrupt-${number}`)) number++;
    const aside = `${name}.corrupt-${number}`;
    await rename(join(this.dir, name), join(this.dir, aside));
    this.#report(`The state “${name}” was unreadable and was set aside as “${aside}”: ${errorMessage(cause)}`);
  }
}

function checkName(name: string): void {
  if (NAME.test(name) && !TEMPORARY.test(name) && !CORRUPT.test(name)) return;
  throw new PeerwireError('internal', `“${name}” cannot be the name of a state.`);
}

async function renameOver(from: string, to: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await rename(from, to);
    } catch (error) {
      const held = process.platform === 'win32' && ['EPERM', 'EACCES', 'EBUSY'].includes(systemCode(error) ?? '');
      if (!held || attempt === RENAME_ATTEMPTS) throw error;
      await delay(RENAME_PAUSE * attempt);
    }
  }
}
