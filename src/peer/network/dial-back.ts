import { withTimeLimit } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import type { Disposable } from '../../common/disposable.ts';
import { errorCode } from '../../common/errors.ts';
import type { DeviceId } from '../../common/ids.ts';
import { formatHostPort, isLoopbackHost, normalizeHost } from './addresses.ts';
import type { MemberChannel } from './channel.ts';
import type { DialBackOutcome } from './control-messages.ts';
import type { ControlPeer } from './control-peer.ts';
import type { DialTarget } from './dialer.ts';
import { TokenBucket } from './token-bucket.ts';

/** Milliseconds for one attempt to reach whoever asked: a firewall that drops packets lets it run out. */
const ATTEMPT_TIMEOUT = 4000;
/** Milliseconds for the answer to be here. */
const ANSWER_TIMEOUT = ATTEMPT_TIMEOUT + 2000;
/** So often one device may ask: once in so many seconds, and so many times in a row. */
const ASK_INTERVAL = 20;
const ASK_BURST = 3;
/** Devices that are asked for one diagnosis. */
const MOST_ASKED = 3;
/** Places (address and port) that one device may have dialled within an hour (ms): it is at one, and moves now and then. */
const MOST_PLACES = 4;
const HOUR = 60 * 60 * 1000;
/** Below it, services of systems listen; but for 443, which firewalls let pass. */
const FIRST_PORT = 1024;
const HTTPS_PORT = 443;
/** Attempts under way at once, for all peers together. */
const MOST_ATTEMPTS = 4;

export interface DialBackOptions {
  readonly clock: Clock;
  readonly dial: (target: DialTarget) => Promise<MemberChannel>;
}

/** What a member said that was asked to dial this peer; no outcome: nothing. */
export interface DialBackReport {
  /** Of the device. */
  readonly name: string;
  readonly outcome: DialBackOutcome | undefined;
}

interface Asked {
  readonly link: ControlPeer;
  readonly settle: (outcome: DialBackOutcome | undefined) => void;
}

/**
 * Whether others can dial this peer, by trying: each asks the other to. Whoever is asked dials only the address at which it sees
 * who asks, with the port that this one listens on by its own word, and only as long as it proves to be that device: so nobody
 * can be made to knock at somebody else's door. Where it sees who asks may be a router, a proxy or, by a tunnel that ends there,
 * its own machine, with services of others: only few ports are tried, none of systems, and of the own machine it says no more
 * than whether the one who asks answered.
 */
export class DialBack implements Disposable {
  readonly #options: DialBackOptions;
  readonly #asked = new Map<number, Asked>();
  readonly #allowed = new Map<DeviceId, TokenBucket>();
  /** When (monotone time) each place was tried first, by device. */
  readonly #places = new Map<DeviceId, Map<string, number>>();
  #lastId = 0;
  #attempts = 0;

  constructor(options: DialBackOptions) {
    this.#options = options;
  }

  /** Asks a few of these, each device once. Takes 6 s at most, and never rejects. */
  async askSome(links: readonly ControlPeer[]): Promise<DialBackReport[]> {
    const able = links.filter((link) => !link.relayed && link.supports('pw_connect'));
    const devices = new Map(able.map((link) => [link.peer.device, link]));
    const asked = [...devices.values()].slice(0, MOST_ASKED);
    return await Promise.all(
      asked.map(async (link) => ({ name: link.name ?? link.peer.device, outcome: await this.ask(link) })),
    );
  }

  /** What came of it; undefined when the other did not say. Takes 6 s at most, and never rejects. */
  ask(link: ControlPeer): Promise<DialBackOutcome | undefined> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      const settle = (outcome: DialBackOutcome | undefined): void => {
        timer.dispose();
        this.#asked.delete(id);
        resolve(outcome);
      };
      const timer = this.#options.clock.setTimeout(() => settle(undefined), ANSWER_TIMEOUT);
      this.#asked.set(id, { link, settle });
      if (!link.sendConnect({ type: 'back', id })) settle(undefined);
    });
  }

  /** Somebody asked to be dialled. Answers it, in its time. */
  async answer(link: ControlPeer, id: number): Promise<void> {
    const outcome = this.#mayTry(link) ? await this.#try(link) : 'busy';
    link.sendConnect({ type: 'backed', id, outcome });
  }

  /** What we asked of this peer was answered. */
  answered(link: ControlPeer, id: number, outcome: DialBackOutcome): void {
    const asked = this.#asked.get(id);
    if (asked?.link === link) asked.settle(outcome);
  }

  dispose(): void {
    for (const { settle } of [...this.#asked.values()]) settle(undefined);
  }

  #mayTry({ channel, peer: { device }, relayed, listenPort }: ControlPeer): boolean {
    if (relayed || listenPort === undefined || this.#attempts >= MOST_ATTEMPTS) return false;
    if (listenPort < FIRST_PORT && listenPort !== HTTPS_PORT) return false;
    const place = formatHostPort({ host: normalizeHost(channel.remoteAddress), port: listenPort });
    if (!this.#mayTryAt(device, place)) return false;
    // A full allowance is as good as none.
    for (const [other, { isFull }] of this.#allowed) if (isFull) this.#allowed.delete(other);
    const allowed = this.#allowed.get(device) ?? new TokenBucket(this.#options.clock, 1 / ASK_INTERVAL, ASK_BURST);
    this.#allowed.set(device, allowed);
    return allowed.tryTake(1);
  }

  #mayTryAt(device: DeviceId, place: string): boolean {
    const now = this.#options.clock.now();
    for (const [other, places] of this.#places) {
      for (const [at, since] of places) if (now - since >= HOUR) places.delete(at);
      if (places.size === 0) this.#places.delete(other);
    }
    const places = this.#places.get(device) ?? new Map<string, number>();
    if (!places.has(place) && places.size >= MOST_PLACES) return false;
    if (!places.has(place)) places.set(place, now);
    this.#places.set(device, places);
    return true;
  }

  async #try(link: ControlPeer): Promise<DialBackOutcome> {
    const { clock } = this.#options;
    const begun = clock.now();
    const outcome = await this.#dial(link);
    if (outcome === 'ok' || !isLoopbackHost(normalizeHost(link.channel.remoteAddress))) return outcome;
    // All the same, and after the same time.
    await new Promise<void>((resolve) =>
      clock.setTimeout(resolve, Math.max(0, ATTEMPT_TIMEOUT - (clock.now() - begun))),
    );
    return 'dropped';
  }

  async #dial({ channel, listenPort, peer }: ControlPeer): Promise<DialBackOutcome> {
    const { clock, dial } = this.#options;
    const host = normalizeHost(channel.remoteAddress);
    const target = { host, port: listenPort ?? 0, expectDevice: peer.device, once: true };
    this.#attempts++;
    try {
      const limit = { clock, limit: ATTEMPT_TIMEOUT };
      const reached = await withTimeLimit(limit, (signal) => dial({ ...target, signal }));
      reached.close();
      return reached.instance === peer.instance ? 'ok' : 'other';
    } catch (error) {
      const code = errorCode(error);
      return code === 'timeout' ? 'dropped' : code === 'connection' ? 'refused' : 'other';
    } finally {
      this.#attempts--;
    }
  }
}
