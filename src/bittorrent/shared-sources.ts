import type { Disposable } from '../common/disposable.ts';
import type { PeerSession } from './peer-session.ts';

/** The part of what it wants to have outstanding that keeps a device busy for a transfer. */
const BUSY = 0.5;
/** A transfer that the device completed nothing for, or that a limit of our own held up, does not count for so long, in ms. */
const RECENTLY = 1_000;

/**
 * Which transfers fetch from which device, over all swarms. A device serves them in turns, and so does the network: of two
 * that ask for all they can get, each gets about half, whatever their priority here. So one of lower priority asks a device
 * for little as long as that is busy with one of higher priority. What the latter cannot take is not kept for it.
 */
export class SharedSources {
  readonly #byDevice = new Map<string, Map<PeerSession, SourceUser>>();

  /** One swarm's transfer. `rank`: 0 comes first. */
  user(rank: () => number, deviceOf: (session: PeerSession) => string): SourceUser {
    return new SourceUser(this.#byDevice, rank, deviceOf);
  }
}

/** What one swarm sees of them. */
export class SourceUser implements Disposable {
  readonly #byDevice: Map<string, Map<PeerSession, SourceUser>>;
  readonly #rank: () => number;
  readonly #deviceOf: (session: PeerSession) => string;
  /** Our sessions, each with all of the same device. */
  readonly #sessions = new Map<PeerSession, Map<PeerSession, SourceUser>>();

  constructor(
    byDevice: Map<string, Map<PeerSession, SourceUser>>,
    rank: () => number,
    deviceOf: (session: PeerSession) => string,
  ) {
    this.#byDevice = byDevice;
    this.#rank = rank;
    this.#deviceOf = deviceOf;
  }

  /** The swarm fetches from this session. */
  add(session: PeerSession): void {
    const device = this.#deviceOf(session);
    const all = this.#byDevice.get(device) ?? new Map<PeerSession, SourceUser>();
    this.#byDevice.set(device, all.set(session, this));
    this.#sessions.set(session, all);
  }

  remove(session: PeerSession): void {
    const all = this.#sessions.get(session);
    if (!all) return;
    this.#sessions.delete(session);
    all.delete(session);
    if (all.size === 0) this.#byDevice.delete(this.#deviceOf(session));
  }

  /** The device of this session is busy with a transfer that comes first. `now` in ms. */
  yields(session: PeerSession, now: number): boolean {
    const all = this.#sessions.get(session);
    if (!all || all.size < 2) return false;
    const rank = this.#rank();
    for (const [other, user] of all) if (user.#rank() < rank && keepsBusy(other, now)) return true;
    return false;
  }

  dispose(): void {
    for (const session of [...this.#sessions.keys()]) this.remove(session);
  }
}

function keepsBusy({ requests, throttledUntil }: PeerSession, now: number): boolean {
  const { bytes, depth, oldest, lastBlock } = requests;
  if (!oldest || bytes < depth * BUSY || now - throttledUntil < RECENTLY) return false;
  return now - Math.max(oldest.sent, lastBlock) < RECENTLY;
}
