import type { DeviceId } from '../../common/ids.ts';

/** A device that this one admitted while its invite was valid. */
export interface Met {
  readonly device: DeviceId;
  readonly invite: string;
  /** Milliseconds since the epoch, by our own clock. */
  readonly date: number;
}

/** Devices remembered. */
export const MAX_MET = 4096;

/** Whom this device has admitted in time: it needs nobody else's word for them later. */
export class MetMembers {
  readonly #met = new Map<string, Met>();

  constructor(met: readonly Met[]) {
    for (const entry of met) this.add(entry);
  }

  /** True when this is new, or earlier than what was known. */
  add(met: Met): boolean {
    const key = keyOf(met.device, met.invite);
    const known = this.#met.get(key);
    if (known && known.date <= met.date) return false;
    this.#met.set(key, met);
    if (this.#met.size > MAX_MET) this.#forgetOne();
    return this.#met.has(key);
  }

  /** Of the invite that most came by, who came last: signing in ever other devices makes nobody forget who came before. */
  #forgetOne(): void {
    const counts = new Map<string, number>();
    for (const { invite } of this.#met.values()) counts.set(invite, (counts.get(invite) ?? 0) + 1);
    const [most] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a));
    const last = [...this.#met].findLast(([, { invite }]) => invite === most);
    if (last) this.#met.delete(last[0]);
  }

  dateOf(device: DeviceId, invite: string): number | undefined {
    return this.#met.get(keyOf(device, invite))?.date;
  }

  /** Invites by which the device came. */
  invitesOf(device: DeviceId): string[] {
    return this.list().flatMap((met) => (met.device === device ? [met.invite] : []));
  }

  list(): Met[] {
    return [...this.#met.values()];
  }
}

function keyOf(device: DeviceId, invite: string): string {
  return `${device} ${invite}`;
}
