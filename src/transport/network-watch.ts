import type { Clock } from '../common/clock.ts';
import { type Disposable, DisposableList } from '../common/disposable.ts';
import { Emitter, type Event } from '../common/event.ts';
import { fingerprint, type LanInterface, lanInterfaces } from './network-interfaces.ts';

/** Milliseconds between two looks: Node does not say when a cable is pulled. */
const PERIOD = 2000;
/** When this much more wall time (ms) passed than should have between two looks, the machine slept. */
const SLEPT = 15_000;

export type NetworkChange = 'interfaces' | 'woke';

/** Notices that this machine's network interfaces or addresses changed, or that it slept. */
export class NetworkWatch implements Disposable {
  readonly #clock: Clock;
  readonly #look: () => LanInterface[];
  readonly #owned = new DisposableList();
  readonly #changed: Emitter<NetworkChange>;
  readonly onChanged: Event<NetworkChange>;
  #interfaces: readonly LanInterface[];
  #seen: string;
  #lastLook: number;

  constructor(clock: Clock, look: () => LanInterface[] = lanInterfaces) {
    this.#clock = clock;
    this.#look = look;
    this.#changed = this.#owned.add(new Emitter<NetworkChange>());
    this.onChanged = this.#changed.event;
    this.#interfaces = look();
    this.#seen = fingerprint(this.#interfaces);
    this.#lastLook = clock.wallTime();
    this.#owned.add(clock.setInterval(() => this.check(), PERIOD));
  }

  /** Those of the last look. */
  get interfaces(): readonly LanInterface[] {
    return this.#interfaces;
  }

  /** Looks now. */
  check(): void {
    const now = this.#clock.wallTime();
    const slept = now - this.#lastLook > PERIOD + SLEPT;
    this.#lastLook = now;
    this.#interfaces = this.#look();
    const seen = fingerprint(this.#interfaces);
    const changed = seen !== this.#seen;
    this.#seen = seen;
    if (changed) this.#changed.fire('interfaces');
    else if (slept) this.#changed.fire('woke');
  }

  dispose(): void {
    this.#owned.dispose();
  }
}
