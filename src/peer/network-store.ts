import { errorMessage } from '../common/errors.ts';
import type { NetworkId } from '../common/ids.ts';
import type { Logger } from '../common/log.ts';
import type { SecretStore } from './secret-store.ts';
import type { NetworkTrust } from './trust/membership.ts';

/** Key in the secret store: the ids of all networks of this device, as JSON. */
const INDEX = 'networks';

/** Runs an action while no other peer of the device does: what they share is then read and written in one. */
export type Exclusive = <T>(action: () => Promise<T>) => Promise<T>;

export interface NetworkStoreOptions {
  readonly secrets: SecretStore;
  readonly exclusive: Exclusive;
  readonly logger: Logger;
}

/**
 * The networks of this device as they are stored, in the secret store only. All windows of the device write there, each
 * with a `NetworkTrust` of its own: whatever one stores is merged with what is there, and nothing brings back a network
 * that another window left.
 */
export class NetworkStore {
  readonly #options: NetworkStoreOptions;
  #writing: Promise<unknown> = Promise.resolve();
  /** What waits to be stored: members who come by the thousand do not make us write as often. */
  readonly #waiting = new Map<NetworkId, Promise<void>>();
  /** What was stored for a network when this window last looked or wrote. */
  readonly #seen = new Map<NetworkId, string>();

  constructor(options: NetworkStoreOptions) {
    this.#options = options;
  }

  /** Rejects when the list cannot be read. */
  async list(): Promise<NetworkId[]> {
    const stored = await this.#options.secrets.get(INDEX);
    const parsed: unknown = stored === undefined ? [] : JSON.parse(stored);
    return Array.isArray(parsed) ? parsed.filter((entry): entry is NetworkId => typeof entry === 'string') : [];
  }

  /** What `NetworkTrust.load` reads. */
  async get(network: NetworkId): Promise<string | undefined> {
    return await this.#options.secrets.get(keyOf(network));
  }

  /** Stores one that was created or joined here. */
  add(trust: NetworkTrust): Promise<void> {
    return this.#write(async () => {
      const serialized = trust.serialize();
      await this.#options.secrets.set(keyOf(trust.network), serialized);
      this.#seen.set(trust.network, serialized);
      await this.#list(trust.network);
    });
  }

  /** Stores what this window knows, merged with what others know. Never rejects. */
  save(trust: NetworkTrust): Promise<void> {
    const { network } = trust;
    const waiting = this.#waiting.get(network);
    if (waiting) return waiting;
    const saved = this.#write(async () => {
      // What changes from here on is stored once more, and however much changed before, once.
      this.#waiting.delete(network);
      const stored = await this.get(network);
      // Another window left the network: this one follows at its next look.
      if (stored === undefined && !(await this.list()).includes(network)) return;
      if (stored !== undefined) this.#absorb(trust, stored);
      const serialized = trust.serialize();
      if (serialized === stored) return;
      await this.#options.secrets.set(keyOf(network), serialized);
      this.#seen.set(network, serialized);
    }).catch((error: unknown) => {
      // It may not have come to that.
      if (this.#waiting.get(network) === saved) this.#waiting.delete(network);
      this.#options.logger.error(`Networks could not be stored: ${errorMessage(error)}`);
    });
    this.#waiting.set(network, saved);
    return saved;
  }

  /** Takes over what other windows stored. False: one of them left the network. */
  async refresh(trust: NetworkTrust, listed: boolean): Promise<boolean> {
    const stored = await this.get(trust.network);
    if (stored === undefined) return listed;
    this.#absorb(trust, stored);
    if (!listed) await this.#write(() => this.#list(trust.network));
    return true;
  }

  remove(network: NetworkId): Promise<void> {
    const { secrets } = this.#options;
    return this.#write(async () => {
      this.#seen.delete(network);
      // First what says that this device is a member: the other windows mend the list by it.
      await secrets.delete(keyOf(network));
      const rest = (await this.list()).filter((other) => other !== network);
      await secrets.set(INDEX, JSON.stringify(rest));
    });
  }

  /** Resolves when all that was to be stored so far is, or could not be. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #list(network: NetworkId): Promise<void> {
    // Left by another window in the meantime.
    if ((await this.get(network)) === undefined) return;
    const index = await this.list();
    if (!index.includes(network)) await this.#options.secrets.set(INDEX, JSON.stringify([...index, network]));
  }

  #absorb(trust: NetworkTrust, stored: string): void {
    if (stored === this.#seen.get(trust.network)) return;
    this.#seen.set(trust.network, stored);
    try {
      // That lacks something of ours: both stored at once.
      if (trust.absorb(stored)) void this.save(trust);
    } catch (error) {
      this.#options.logger.warn(`What another window stored cannot be read: ${errorMessage(error)}`);
    }
  }

  /** One write after another, each alone. */
  #write(action: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(() => this.#options.exclusive(action));
    this.#writing = done.catch(() => undefined);
    return done;
  }
}

function keyOf(network: NetworkId): string {
  return `network.${network}`;
}
