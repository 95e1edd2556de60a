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
/** Attempts under way at once, for all peers together. */
const MOST_ATTEMPTS = 4;

export interface DialBackOptions {
  readonly clock: Clock;
  readonly dial: (target: DialTarget) => Promise<MemberChannel>;
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
    const late = new AbortController();
    const timer = this.#options.clock.setTimeout(() => late.abort(), ATTEMPT_TIMEOUT);
    this.#attempts++;
    try {
      const reached = await this.#options.dial({
        host: normalizeHost(channel.remoteAddress),
        port: listenPort ?? 0,
        expectDevice: peer.device,
        signal: late.signal,
      });
      reached.close();
      return reached.instance === peer.instance ? 'ok' : 'other';
    } catch (error) {
      if (late.signal.aborted || errorCode(error) === 'timeout') return 'dropped';
      return errorCode(error) === 'connection' ? 'refused' : 'other';
    } finally {
      timer.dispose();
      this.#attempts--;
    }
  }
}
