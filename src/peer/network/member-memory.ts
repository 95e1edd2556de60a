import type { Clock } from '../../common/clock.ts';
import { type Disposable, DisposableList } from '../../common/disposable.ts';
import { errorMessage } from '../../common/errors.ts';
import type { DeviceId } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import { Throttle } from '../../common/throttle.ts';
import type { StateStore } from '../state-store.ts';
import type { Member, NetworkTrust } from '../trust/membership.ts';
import { MemberBook, readMembers } from './member-book.ts';

const FILE = 'members.json';
/** Milliseconds between two writings. */
const PAUSE = 3000;

export interface MemberMemoryOptions {
  readonly trust: Pick<NetworkTrust, 'onJudged'>;
  readonly store: Pick<StateStore, 'readJson' | 'writeJson'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Keeps the book of members on disk, and in it what is heard of them. */
export class MemberMemory implements Disposable {
  readonly #options: MemberMemoryOptions;
  readonly #owned = new DisposableList();
  readonly #saving: Throttle;
  readonly book: MemberBook;

  constructor(options: MemberMemoryOptions) {
    this.#options = options;
    this.#saving = this.#owned.add(new Throttle(options.clock, PAUSE, () => void this.save()));
    this.book = new MemberBook(() => this.#saving.run());
  }

  /** From then on also notes whom the network's trust judges to be a member. Rejects with `io`. */
  async load(): Promise<void> {
    const members = (await this.#options.store.readJson(FILE, readMembers)) ?? [];
    for (const member of members) this.book.note(member);
    this.#owned.add(this.#options.trust.onJudged((member) => this.#noteJudged(member)));
  }

  /** The device is connected now, or was until now. */
  noteSeen(device: DeviceId, name: string | undefined): void {
    const lastSeen = this.#options.clock.wallTime();
    this.book.note({ device, lastSeen, ...(name === undefined ? {} : { name }) });
  }

  /** Never rejects. */
  async save(): Promise<void> {
    const { store, logger } = this.#options;
    try {
      await store.writeJson(FILE, this.book.serialize());
    } catch (error) {
      logger.warn(`The members were not saved: ${errorMessage(error)}`);
    }
  }

  dispose(): void {
    this.#owned.dispose();
  }

  #noteJudged({ device, spki, inviter, creator, date }: Member): void {
    const facts = { ...(creator ? { creator } : {}), ...(inviter === undefined ? {} : { inviter }) };
    this.book.note({ device, spki, joined: date, ...facts });
  }
}
