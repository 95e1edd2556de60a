import type { DeviceId } from '../../common/ids.ts';

/** A device that this one admitted while its invite was valid. */
export interface Met {
  readonly device: DeviceId;
  readonly invite: string;
  /** Milliseconds since the epoch, by our own clock. */
  readonly date: number;
}

/** Devices remembered; the oldest are forgotten first, so that one invite cannot fill our memory. */
const MAX_MET = 4096;

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
    const oldest = this.#met.keys().next();
    if (this.#met.size > MAX_MET && !oldest.done) this.#met.delete(oldest.value);
    return true;
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
