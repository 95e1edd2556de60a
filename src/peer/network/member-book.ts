import { type DeviceId, parseDeviceId } from '../../common/ids.ts';
import { MAX_NAME } from '../trust/certificates.ts';
import { displayName } from '../trust/names.ts';
import { FairShare } from './fair-share.ts';

/**
 * Devices of one network that are remembered; of those whom the one invited who has most (`FairShare`), who was connected longest
 * ago is forgotten first, who never was before.
 */
/** Members between a device and the creator: more are not looked at. */
const MOST_INVITERS = 64;

export const MAX_KNOWN = 4096;

/** What is remembered of a device that is or was a member. */
export interface KnownMember {
  readonly device: DeviceId;
  /** Absent as long as it was only heard of. */
  readonly name?: string;
  /** Its key, 91 bytes: an admin's certificate names it. */
  readonly spki?: Buffer;
  readonly creator?: boolean;
  /** Absent for the creator. */
  readonly inviter?: DeviceId;
  /** When it was admitted: milliseconds since the epoch. */
  readonly joined?: number;
  /** When it was connected to this device last: milliseconds since the epoch. */
  readonly lastSeen?: number;
}

/**
 * Who is or was a member of a network, as far as this peer has heard: catalogues are forgotten, and who is revoked has
 * none. It proves nothing; membership is judged anew wherever it matters.
 */
export class MemberBook {
  readonly #known = new Map<DeviceId, KnownMember>();
  readonly #room = new FairShare((device) => this.#known.get(device)?.inviter);
  readonly #onChange: () => void;

  /** `onChange`: something is to be stored. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  note(member: KnownMember): void {
    const known = this.#known.get(member.device);
    const next = { ...known, ...member };
    if (known && isSame(known, next)) return;
    if (!known && this.#known.size >= MAX_KNOWN) this.#forgetOne();
    this.#known.set(member.device, next);
    this.#room.add({ key: next.device, device: next.device, bytes: 0, time: next.lastSeen ?? 0 });
    this.#onChange();
  }

  /** Who invited the device, and whom that one, as far as we know: from the creator down. */
  invitersOf(device: DeviceId): DeviceId[] {
    const inviters: DeviceId[] = [];
    for (let at = this.get(device)?.inviter; at !== undefined; at = this.get(at)?.inviter) {
      if (inviters.length === MOST_INVITERS || at === device || inviters.includes(at)) break;
      inviters.unshift(at);
    }
    return inviters;
  }

  get(device: DeviceId): KnownMember | undefined {
    return this.#known.get(device);
  }

  list(): readonly KnownMember[] {
    return [...this.#known.values()];
  }

  /** For `readMemberBook`: JSON. */
  serialize(): unknown {
    return this.list().map(({ spki, ...rest }) => ({ ...rest, ...(spki ? { spki: spki.toString('base64') } : {}) }));
  }

  #forgetOne(): void {
    const first = this.#room.first();
    if (!first) return;
    this.#room.remove(first.key);
    this.#known.delete(first.device);
  }
}

/** Reads what `serialize` made. Entries that make no sense are left out; throws when it is no list. */
export function readMembers(value: unknown): KnownMember[] {
  if (!Array.isArray(value)) throw new TypeError('Members are a list.');
  return value.slice(0, MAX_KNOWN).flatMap((item: unknown) => readMember(item) ?? []);
}

function readMember(item: unknown): KnownMember | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const entry = new Map<string, unknown>(Object.entries(item));
  const device = readDevice(entry.get('device'));
  if (device === undefined) return undefined;
  const inviter = readDevice(entry.get('inviter'));
  const [name, spki, joined, lastSeen] = ['name', 'spki', 'joined', 'lastSeen'].map((key) => entry.get(key));
  return {
    device,
    ...(typeof name === 'string' && name.length <= MAX_NAME ? { name: displayName(name) } : {}),
    ...(typeof spki === 'string' ? { spki: Buffer.from(spki, 'base64') } : {}),
    ...(entry.get('creator') === true ? { creator: true } : {}),
    ...(inviter === undefined ? {} : { inviter }),
    ...(typeof joined === 'number' ? { joined } : {}),
    ...(typeof lastSeen === 'number' ? { lastSeen } : {}),
  };
}

function readDevice(value: unknown): DeviceId | undefined {
  try {
    return typeof value === 'string' ? parseDeviceId(value) : undefined;
  } catch {
    return undefined;
  }
}

function isSame(a: KnownMember, b: KnownMember): boolean {
  return (
    a.name === b.name &&
    a.creator === b.creator &&
    a.inviter === b.inviter &&
    a.joined === b.joined &&
    a.lastSeen === b.lastSeen &&
    (a.spki === b.spki || (a.spki !== undefined && b.spki !== undefined && a.spki.equals(b.spki)))
  );
}
