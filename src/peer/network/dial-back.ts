import { withTimeLimit } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import type { Disposable } from '../../common/disposable.ts';
import { errorCode } from '../../common/errors.ts';
import type { DeviceId } from '../../common/ids.ts';
import { normalizeHost } from './addresses.ts';
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
 * can be made to knock at somebody else's door.
 */
export class DialBack implements Disposable {
  readonly #options: DialBackOptions;
  readonly #asked = new Map<number, Asked>();
  readonly #allowed = new Map<DeviceId, TokenBucket>();
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

  #mayTry({ peer: { device }, relayed, listenPort }: ControlPeer): boolean {
    if (relayed || listenPort === undefined || this.#attempts >= MOST_ATTEMPTS) return false;
    // A full allowance is as good as none.
    for (const [other, { isFull }] of this.#allowed) if (isFull) this.#allowed.delete(other);
    const allowed = this.#allowed.get(device) ?? new TokenBucket(this.#options.clock, 1 / ASK_INTERVAL, ASK_BURST);
    this.#allowed.set(device, allowed);
    return allowed.tryTake(1);
  }

  async #try({ channel, listenPort, peer }: ControlPeer): Promise<DialBackOutcome> {
    const { clock, dial } = this.#options;
    const target = { host: normalizeHost(channel.remoteAddress), port: listenPort ?? 0, expectDevice: peer.device };
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
