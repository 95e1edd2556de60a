import type { PeerAddress } from '../../bittorrent/compact-address.ts';
import type { Clock } from '../../common/clock.ts';
import { type Disposable, DisposableList } from '../../common/disposable.ts';
import { errorMessage, PeerwireError } from '../../common/errors.ts';
import { Emitter, type Event } from '../../common/event.ts';
import type { DeviceId } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import { RefusedError } from '../../transport/refused-error.ts';
import type { AnnounceRequest, AnnounceResult } from '../../transport/tracker-client.ts';
import type { StateStore } from '../state-store.ts';
import type { NetworkTrust } from '../trust/membership.ts';
import { AddressBook } from './address-book.ts';
import { parseHostPort } from './addresses.ts';
import type { MemberChannel, PeerRef } from './channel.ts';
import { Dialer, type DialTarget } from './dialer.ts';
import { readRemembered } from './remembered.ts';
import { TrackerAnnouncer, type TrackerStatus } from './tracker-announcer.ts';

const FILE = 'addresses';
/** Milliseconds between an address that proved good and its writing. */
const SAVE_DELAY = 2000;

export interface MemberFinderOptions {
  readonly trust: NetworkTrust;
  /** 20 bytes. */
  readonly peerId: Uint8Array;
  readonly store: Pick<StateStore, 'readBytes' | 'writeBytes' | 'readJson' | 'writeJson'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: (() => number) | undefined;
  readonly listenPort: () => number | undefined;
  readonly dial: (target: DialTarget) => Promise<MemberChannel>;
  readonly announce: (request: AnnounceRequest) => Promise<AnnounceResult>;
  readonly isConnected: (peer: PeerRef) => boolean;
  readonly hasRoom: () => boolean;
  /** No other device is connected. */
  readonly lonely: () => boolean;
  /** Receives each channel and owns it; `opened` or `failed` must follow. `dialed`: `host:port`. */
  readonly onChannel: (channel: MemberChannel, dialed: string) => void;
}

/** Finds members of a network, by trackers, by each other's word and by memory, and dials them. */
export class MemberFinder implements Disposable {
  readonly #options: MemberFinderOptions;
  readonly #owned = new DisposableList();
  readonly #book: AddressBook;
  readonly #announcer: TrackerAnnouncer;
  readonly #dialer: Dialer;
  readonly #changed = new Emitter<void>();
  /** `problem` or `failing` changed. */
  readonly onChanged: Event<void> = this.#changed.event;
  /** Why members would not have us, when we last asked one. */
  #refusal: RefusedError | undefined;
  #trackers = '';
  #saveTimer: Disposable | undefined;
  #loaded = false;

  constructor(options: MemberFinderOptions) {
    this.#options = options;
    const { trust, clock, logger, listenPort, announce, dial, isConnected, hasRoom, lonely, onChannel } = options;
    this.#book = new AddressBook(clock, options.random, lonely);
    this.#announcer = this.#owned.add(
      new TrackerAnnouncer({
        trackers: () => trust.trackers,
        infoHashes: (now) => trust.rendezvousInfoHashes(now),
        peerId: options.peerId,
        port: listenPort,
        lonely,
        announce,
        onPeers: (peers, tracker, isNew) => {
          for (const peer of peers) this.#book.add(peer, 'tracker', tracker, isNew(peer));
          this.#dialer.poke();
        },
        onWarning: (tracker, text) => logger.warn(`The tracker ${tracker} says: “${text}”.`),
        clock,
      }),
    );
    this.#owned.add(this.#announcer.onStateChanged(() => this.#changed.fire()));
    const onRefused = (reason: RefusedError): void => {
      this.#refusal = new RefusedError(reason.code, `Members refuse this device: ${reason.message}`);
      this.#changed.fire();
    };
    this.#dialer = this.#owned.add(
      new Dialer({
        book: this.#book,
        clock,
        logger,
        dial,
        isConnected,
        isAlone: lonely,
        hasRoom,
        onRefused,
        onChannel,
      }),
    );
  }

  /** Reads the addresses that an earlier run remembered. */
  async load(): Promise<void> {
    try {
      this.#book.load((await this.#options.store.readJson(FILE, readRemembered)) ?? []);
    } catch (error) {
      this.#options.logger.warn(`Remembered addresses cannot be read: ${errorMessage(error)}`);
    }
    this.#loaded = true;
  }

  start(): void {
    this.#trackers = this.#options.trust.trackers.join(' ');
    this.#announcer.start();
    this.#dialer.poke();
  }

  /** That members will not have this device, as long as no other is connected. */
  get refusal(): RefusedError | undefined {
    return this.#options.lonely() ? this.#refusal : undefined;
  }

  /** Why no tracker helps, as far as we know. */
  get problem(): string | undefined {
    return this.#announcer.problem;
  }

  /** Every tracker failed. */
  get failing(): boolean {
    return this.#announcer.failing;
  }

  trackerStatus(): readonly TrackerStatus[] {
    return this.#announcer.status();
  }

  /** Remembers `host:port` and dials it now. Throws `usage` for what cannot be an address. */
  add(hostPort: string, origin: 'manual' | 'lan'): void {
    const informant = origin === 'lan' ? 'lan' : undefined;
    if (this.#book.add(parseHostPort(hostPort), origin, informant) === 'refused' && origin === 'manual') {
      throw new PeerwireError('usage', `“${hostPort}” is not an address of another peer.`);
    }
    this.#poke();
  }

  /** Takes in what a connected member told. `informant`: its host. */
  learn(addresses: readonly PeerAddress[], informant: string): void {
    for (const { host, port } of addresses) this.#book.add({ host, port }, 'pex', informant);
    this.#poke();
  }

  /** A channel from `onChannel` became a connection. */
  opened(dialed: string, peer: PeerRef): void {
    this.#book.succeeded(dialed, peer);
    this.#refusal = undefined;
    this.#saveSoon();
  }

  /** A channel from `onChannel` did not become a connection. */
  failed(dialed: string): void {
    this.#book.failed(dialed);
    this.#poke();
  }

  /** A peer that connected to us says that it listens at this `host:port`. */
  met(hostPort: string, peer: PeerRef): void {
    this.#book.met(parseHostPort(hostPort), peer);
    this.#refusal = undefined;
    this.#saveSoon();
  }

  /** The last connection to a peer ended after `lasted` ms. */
  lost(peer: PeerRef, lasted: number): void {
    this.#book.lost(peer, lasted);
    if (this.#options.lonely()) {
      this.#announcer.retryNow();
      this.#book.alone();
    }
    this.#poke();
  }

  forgetDevice(device: DeviceId): void {
    this.#book.forgetDevice(device);
  }

  /** Takes over a changed list of trackers. */
  trackersChanged(): void {
    const trackers = this.#options.trust.trackers.join(' ');
    if (trackers === this.#trackers) return;
    this.#trackers = trackers;
    this.#announcer.retryNow();
  }

  retryNow(): void {
    this.#announcer.retryNow();
    this.#book.hurry();
    this.#poke();
  }

  /** What is being dialled is dialled anew: it may have been by way of a network that is gone. */
  breakOff(): void {
    this.#dialer.breakOff();
  }

  /** Call it now and then. */
  tidy(): void {
    this.#book.expire();
    this.#poke();
  }

  /** Tells trackers good-bye (a second at most), writes what it remembers and ends. Never rejects. */
  async close(): Promise<void> {
    const farewell = this.#announcer.stop();
    const saved = this.#loaded ? this.#save() : undefined;
    this.dispose();
    await Promise.all([farewell, saved]);
  }

  /** Ends without a word. */
  dispose(): void {
    this.#saveTimer?.dispose();
    this.#owned.dispose();
    this.#changed.dispose();
  }

  #poke(): void {
    if (this.#loaded) this.#dialer.poke();
  }

  #saveSoon(): void {
    this.#saveTimer ??= this.#options.clock.setTimeout(() => {
      this.#saveTimer = undefined;
      void this.#save();
    }, SAVE_DELAY);
  }

  async #save(): Promise<void> {
    try {
      await this.#options.store.writeJson(FILE, this.#book.remembered());
    } catch (error) {
      this.#options.logger.warn(`Addresses were not saved: ${errorMessage(error)}`);
    }
  }
}
