import { MAX_PEX_PEERS, PEX_REACHABLE, type PexMessage } from '../../bittorrent/wire/ut-pex.ts';
import type { Clock } from '../../common/clock.ts';
import { isLoopbackHost, parseHostPort } from './addresses.ts';

/** BEP 11: at most one message a minute. Received ones may come a little early, since clocks and queues vary. */
export const PEX_INTERVAL = 60_000;
const PEX_TOLERANCE = 10_000;

export interface KnownAddress {
  /** `host:port`. */
  readonly address: string;
  /** We dialled it ourselves. */
  readonly reachable: boolean;
}

/** Peer exchange with one connected peer: what it was told, and how often it may tell us. */
export class PeerExchange {
  readonly #clock: Clock;
  readonly #told = new Set<string>();
  #sent = Number.NEGATIVE_INFINITY;
  #received = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The last message is long enough ago. */
  get due(): boolean {
    return this.#clock.now() - this.#sent >= PEX_INTERVAL;
  }

  /**
   * The next message, or undefined when there is nothing to say or it is too early.
   *
   * @param known addresses of connected members, the receiver's own left out
   * @param toHost where the receiver is: loopback addresses are told on this machine only
   */
  next(known: readonly KnownAddress[], toHost: string): PexMessage | undefined {
    if (!this.due) return undefined;
    const local = isLoopbackHost(toHost);
    const current = new Map(known.map((entry) => [entry.address, entry]));
    const added = [...current.values()]
      .filter(({ address }) => !this.#told.has(address) && (local || !isLoopbackHost(parseHostPort(address).host)))
      .slice(0, MAX_PEX_PEERS);
    const dropped = [...this.#told].filter((address) => !current.has(address)).slice(0, MAX_PEX_PEERS);
    if (added.length + dropped.length === 0) return undefined;
    this.#sent = this.#clock.now();
    for (const { address } of added) this.#told.add(address);
    for (const address of dropped) this.#told.delete(address);
    return {
      added: added.map(({ address, reachable }) => ({
        ...parseHostPort(address),
        flags: reachable ? PEX_REACHABLE : 0,
      })),
      dropped: dropped.map((address) => parseHostPort(address)),
    };
  }

  /** True when a message that just arrived may be heeded. */
  accept(): boolean {
    const now = this.#clock.now();
    if (now - this.#received < PEX_INTERVAL - PEX_TOLERANCE) return false;
    this.#received = now;
    return true;
  }
}
