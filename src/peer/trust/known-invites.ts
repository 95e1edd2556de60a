import type { DeviceId } from '../../common/ids.ts';

/** An invite that was made on this device, or seen in what a member showed. */
export interface KnownInvite {
  /** SHA-256 of its key's SPKI, in hex. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly expires: number;
  readonly inviter: DeviceId;
  readonly inviterName: string;
  /** The invite itself: as secret as the network's own secrets, with which it is stored. Made here only. */
  readonly text?: string;
}

/** Invites remembered; those that expired first go first. */
const MAX_INVITES = 512;

/** The invites of a network that can be listed. */
export class KnownInvites {
  readonly #invites = new Map<string, KnownInvite>();

  constructor(invites: readonly KnownInvite[] = []) {
    for (const invite of invites) this.add(invite);
  }

  /** False when it was known. */
  add(invite: KnownInvite): boolean {
    const known = this.#invites.get(invite.id);
    if (known?.text !== undefined || (known && invite.text === undefined)) return false;
    this.#invites.set(invite.id, invite);
    if (this.#invites.size > MAX_INVITES) {
      const [first] = this.list().sort((a, b) => a.expires - b.expires);
      if (first) this.#invites.delete(first.id);
    }
    return true;
  }

  get(id: string): KnownInvite | undefined {
    return this.#invites.get(id);
  }

  list(): KnownInvite[] {
    return [...this.#invites.values()];
  }

  /** For storing: the codes of those that are no use any more are left out. `now`: milliseconds since the epoch. */
  toStore(now: number, isWithdrawn: (invite: KnownInvite) => boolean): KnownInvite[] {
    return this.list().map(({ text, ...rest }) =>
      text === undefined || now > rest.expires || isWithdrawn(rest) ? rest : { ...rest, text },
    );
  }
}
