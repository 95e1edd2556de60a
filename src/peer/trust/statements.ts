import { encode } from '../../bittorrent/bencode.ts';
import { sha256 } from '../../bittorrent/merkle.ts';
import { type Clock, systemClock } from '../../common/clock.ts';
import { PeerwireError } from '../../common/errors.ts';
import type { DeviceId, NetworkId } from '../../common/ids.ts';
import { deviceIdBytes } from '../../common/ids.ts';
import { TokenBucket } from '../network/token-bucket.ts';
import { MAY_ADMIN, MAY_INVITE, type MemberCertificate } from './certificates.ts';
import { compareSettings, type NetworkSettings, type SignedSettings, signSettings } from './network-settings.ts';
import {
  compareRevocations,
  type Revocation,
  type RevocationTarget,
  revocationKey,
  signRevocation,
} from './revocation.ts';
import { type Sign, type Signed, verifySigned } from './signed.ts';
import { decodeStatements, encodeStatements, type StatementSet } from './statement-set.ts';

/** Bytes of all that the root key signed together; the creator makes no more than fit. Others have their own limits. */
export const MAX_BY_ROOT = 256 * 1024;
/** Revocations by one admin, and by one member who withdraws invites that it made; the earliest stay. */
export const MAX_BY_ADMIN = 512;
export const MAX_BY_MEMBER = 16;
/** Members who are no admins and withdrew invites: those who are members the longest. Or one who signs in ever other devices could make the whole too large to travel. */
export const MAX_SIGNERS = 256;

/**
 * Statements of one signer that are verified: in one burst, and in an hour: more than it may have kept, so that who signs ever
 * others costs nobody more. What exceeds it is passed over, whoever brings it.
 */
const CHECKS_OF_ADMIN = { burst: 4 * MAX_BY_ADMIN, perHour: MAX_BY_ADMIN };
const CHECKS_OF_MEMBER = { burst: 4 * MAX_BY_MEMBER, perHour: MAX_BY_MEMBER };

/** Settings in one generation: honest signers get nowhere near. */
export const MAX_SEQUENCE = 2 ** 40;

/** Who signs: the root key, or a device by the right of a certificate. */
export type Signer =
  | { readonly root: Sign }
  | { readonly sign: Sign; readonly member: MemberCertificate; readonly signed: Signed };

interface Certified {
  readonly member: MemberCertificate;
  readonly signed: Signed;
}

/**
 * What creator and admins have said about the network: who and what is removed, who else is an admin, what the network
 * is called and which trackers it asks. A set that only grows, so that it is merged in any order and from anyone, and
 * nobody takes a statement back by replaying an older set.
 *
 * What holds follows from the set alone. The root key's word stands above all. An admin may revoke invites and members,
 * but neither creator nor admins; a member, the invites that it made. What a device said that the root key revoked is
 * dropped: what shall stay of it, the root key signs again.
 */
export class Statements {
  readonly #network: NetworkId;
  readonly #rootKey: Buffer;
  readonly #byRoot = new Map<string, Revocation>();
  readonly #byDevice = new Map<DeviceId, Map<string, Revocation>>();
  /** The latest of each signer: which of them counts changes when an admin is revoked. */
  readonly #settings = new Map<DeviceId | 'root', SignedSettings>();
  /** Of all admins, and of members who signed something. */
  readonly #certificates = new Map<DeviceId, Certified>();
  readonly #clock: Clock;
  /** Of signers whose statements were verified lately. */
  readonly #checks = new Map<DeviceId, TokenBucket>();
  #head: string | undefined;
  #revoked: ReadonlySet<DeviceId> | undefined;

  constructor(network: NetworkId, rootKey: Buffer, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#network = network;
    this.#rootKey = rootKey;
  }

  isRevoked(device: DeviceId): boolean {
    return this.#revokedSet().has(device);
  }

  revokedDevices(): readonly DeviceId[] {
    return [...this.#revokedSet()];
  }

  /**
   * When the device or invite was revoked: milliseconds since the epoch, by the clock of who signed. `maker`: the member
   * who issued the invite, which may withdraw it.
   */
  dateOf(target: RevocationTarget, maker?: DeviceId): number | undefined {
    const key = revocationKey(target);
    let date = this.#byRoot.get(key)?.date;
    if (target.kind === 'device' && this.isAdmin(target.device)) return date;
    for (const [signer, revocations] of this.#byDevice) {
      const revocation = revocations.get(key);
      if (revocation === undefined || !(this.isAdmin(signer) || (target.kind === 'invite' && signer === maker)))
        continue;
      date = Math.min(date ?? revocation.date, revocation.date);
    }
    return date;
  }

  /** Who removed the device first, by the dates, and when; `by` is undefined for the root key. Undefined when it is not removed. */
  removalOf(device: DeviceId): { readonly by: DeviceId | undefined; readonly date: number } | undefined {
    if (!this.isRevoked(device)) return undefined;
    const key = revocationKey({ kind: 'device', device });
    const root = this.#byRoot.get(key);
    if (root) return { by: undefined, date: root.date };
    const [first] = [...this.#byDevice]
      .flatMap(([by, said]) => ({ by, date: (this.isAdmin(by) && said.get(key)?.date) || Number.POSITIVE_INFINITY }))
      .sort((a, b) => a.date - b.date);
    return first;
  }

  /** The creator's device counts as one once it has made another. */
  isAdmin(device: DeviceId): boolean {
    return isAdminCertificate(this.#certificates.get(device)) && !this.#isRevokedByRoot(device);
  }

  /** Its certificate as an admin. */
  adminCertificate(device: DeviceId): Certified | undefined {
    return this.isAdmin(device) ? this.#certificates.get(device) : undefined;
  }

  admins(): readonly MemberCertificate[] {
    return [...this.#certificates.values()].flatMap(({ member }) => (this.isAdmin(member.device) ? [member] : []));
  }

  /** Undefined as long as nobody changed what the invites say. */
  get settings(): NetworkSettings | undefined {
    return this.#latestSettings()?.[1].settings;
  }

  /** SHA-256 over all statements, in hex: equal heads mean equal sets. */
  get head(): string {
    this.#head ??= this.#computeHead();
    return this.#head;
  }

  encode(): Buffer {
    return encodeStatements(this.#toSet());
  }

  /**
   * Adds a revocation; what the signer has said about the target already stays. Throws `permission` or `unsupported`
   * (too many).
   */
  revoke(target: RevocationTarget, date: number, signer: Signer): void {
    const key = revocationKey(target);
    if ('root' in signer) {
      if (this.#byRoot.has(key)) return;
      if (this.#sizeByRoot() > MAX_BY_ROOT) throw tooMany();
      this.#byRoot.set(key, signRevocation(this.#network, target, date, signer.root));
      this.#settle();
      return;
    }
    const { device } = signer.member;
    if (!this.isAdmin(device) && target.kind === 'device') throw notAllowed();
    if (target.kind === 'device' && this.isAdmin(target.device)) throw onlyCreator();
    const own = this.#byDevice.get(device);
    if (own?.has(key)) return;
    if ((own?.size ?? 0) >= this.#limitOf(device)) throw tooMany();
    this.#addCertificate(signer);
    this.#addByDevice(device, signRevocation(this.#network, target, date, signer.sign));
    this.#settle();
  }

  /** Throws `permission`. */
  set(change: Pick<NetworkSettings, 'name' | 'trackers'>, date: number, signer: Signer): void {
    const by = 'root' in signer ? 'root' : signer.member.device;
    if (by !== 'root' && !this.isAdmin(by)) throw notAllowed();
    let sequence = (this.settings?.sequence ?? 0) + 1;
    let generation = this.#generation;
    if (sequence > MAX_SEQUENCE) {
      if (by !== 'root') throw onlyCreatorSets();
      [sequence, generation] = [1, generation + 1];
    }
    const sign = 'root' in signer ? signer.root : signer.sign;
    this.#settings.set(by, signSettings(this.#network, { ...change, sequence, generation, date }, sign));
    this.#settle();
  }

  /** Adds an admin, by a certificate of the root key. */
  certify(certificate: Certified): void {
    this.#addCertificate(certificate);
    this.#settle();
  }

  /** Revocations that a device signed, for the root key to sign them again. */
  revocationsBy(device: DeviceId): readonly Revocation[] {
    return [...(this.#byDevice.get(device)?.values() ?? [])];
  }

  /** The settings that count, when they are by this device. */
  settingsBy(device: DeviceId): NetworkSettings | undefined {
    const latest = this.#latestSettings();
    return latest?.[0] === device ? latest[1].settings : undefined;
  }

  /** Who said something, besides the root key. */
  signers(): Set<DeviceId> {
    const signers = new Set(this.#byDevice.keys());
    for (const by of this.#settings.keys()) if (by !== 'root') signers.add(by);
    return signers;
  }

  /**
   * Merges what another member sent. Returns the devices that are revoked now and were not before. Throws `bad-encoding`,
   * or `not-admitted` for a statement that nobody with the right to it signed; then nothing was merged.
   */
  merge(bytes: Uint8Array): DeviceId[] {
    const sent = decodeStatements(bytes);
    const before = this.#revokedSet();
    const set = this.#verify(sent);
    for (const revocation of set.byRoot) addTo(this.#byRoot, revocation);
    const signers = new Set([...set.byDevice, ...set.settings].map(({ device }) => device));
    for (const certificate of set.certificates) {
      // Others' prove nothing here, and would fill our memory.
      const { device, rights } = certificate.member;
      if ((rights & MAY_ADMIN) !== 0 || signers.has(device)) this.#addCertificate(certificate);
    }
    for (const { device, revocation } of set.byDevice) this.#addByDevice(device, revocation);
    for (const { device, settings } of set.settings) {
      const known = this.#settings.get(device ?? 'root');
      if (!known || compareSettings(known, settings) < 0) this.#settings.set(device ?? 'root', settings);
    }
    this.#settle();
    return [...this.#revokedSet()].filter((device) => !before.has(device));
  }

  /** Without what exceeds its signer's allowance. */
  #verify(set: StatementSet): StatementSet {
    const verify = (purpose: 'revoke' | 'member' | 'settings', signed: Signed, key: Uint8Array): void => {
      if (!verifySigned(purpose, this.#network, signed, key)) throw notSigned();
    };
    for (const { target, signed } of set.byRoot) {
      if (!this.#byRoot.get(revocationKey(target))?.signed.body.equals(signed.body))
        verify('revoke', signed, this.#rootKey);
    }
    const certificates = new Map([...this.#certificates].map(([device, known]) => [device, [known]]));
    const signers = new Set([...set.byDevice, ...set.settings].map(({ device }) => device));
    for (const certificate of set.certificates) {
      const { device, rights } = certificate.member;
      // Nobody uses it: verifying is what costs.
      if ((rights & MAY_ADMIN) === 0 && !signers.has(device)) continue;
      const known = certificates.get(device) ?? [];
      if (known.some(({ signed }) => signed.body.equals(certificate.signed.body))) continue;
      verify('member', certificate.signed, this.#rootKey);
      certificates.set(device, [...known, certificate]);
    }
    const revokedNow = new Set(set.byRoot.map(({ target }) => revocationKey(target)));
    const isDropped = (device: DeviceId): boolean =>
      this.#isRevokedByRoot(device) || revokedNow.has(revocationKey({ kind: 'device', device }));
    const keyFor = (device: DeviceId, right: number): Uint8Array => {
      const found = certificates.get(device)?.find(({ member }) => (member.rights & right) !== 0);
      if (!found) throw notSigned();
      return found.member.spki;
    };
    const isAdmin = (device: DeviceId): boolean => certificates.get(device)?.some(isAdminCertificate) === true;
    const byDevice = set.byDevice.filter(({ device, revocation }) => {
      const { target, signed } = revocation;
      if (isDropped(device)) return true;
      if (this.#byDevice.get(device)?.get(revocationKey(target))?.signed.body.equals(signed.body)) return true;
      const key = keyFor(device, target.kind === 'invite' ? MAY_INVITE | MAY_ADMIN : MAY_ADMIN);
      return this.#check(device, isAdmin(device), () => verify('revoke', signed, key));
    });
    const settings = set.settings.filter(({ device, settings: { signed } }) => {
      if (device !== undefined && isDropped(device)) return true;
      if (this.#settings.get(device ?? 'root')?.signed.body.equals(signed.body)) return true;
      if (device !== undefined)
        return this.#check(device, true, () => verify('settings', signed, keyFor(device, MAY_ADMIN)));
      verify('settings', signed, this.#rootKey);
      return true;
    });
    return { ...set, byDevice, settings };
  }

  /** False, and nothing was verified, when the signer has had its share. What is not by it does not count for it. */
  #check(device: DeviceId, isAdmin: boolean, verify: () => void): boolean {
    let checks = this.#checks.get(device);
    if (checks === undefined) {
      for (const [other, { isFull }] of this.#checks) if (isFull) this.#checks.delete(other);
      const { burst, perHour } = isAdmin ? CHECKS_OF_ADMIN : CHECKS_OF_MEMBER;
      checks = new TokenBucket(this.#clock, perHour / 3600, burst);
      this.#checks.set(device, checks);
    }
    if (checks.wait > 0) return false;
    verify();
    checks.take(1);
    return true;
  }

  #addCertificate(certificate: Certified): void {
    const { device } = certificate.member;
    const known = this.#certificates.get(device);
    if (!known || compareCertificates(certificate, known) < 0) {
      this.#certificates.set(device, { member: certificate.member, signed: certificate.signed });
    }
  }

  #addByDevice(device: DeviceId, revocation: Revocation): void {
    const revocations = this.#byDevice.get(device) ?? new Map<string, Revocation>();
    addTo(revocations, revocation);
    this.#byDevice.set(device, revocations);
  }

  /** Drops what does not count, so that equal knowledge makes equal sets. */
  #settle(): void {
    this.#head = this.#revoked = undefined;
    for (const device of [...this.#certificates.keys(), ...this.#byDevice.keys()]) {
      if (!this.#isRevokedByRoot(device)) continue;
      this.#certificates.delete(device);
      this.#byDevice.delete(device);
      this.#settings.delete(device);
    }
    for (const device of this.#settings.keys()) {
      if (device !== 'root' && this.#isRevokedByRoot(device)) this.#settings.delete(device);
    }
    const members = [...this.#certificates.values()].filter(({ member }) => (member.rights & MAY_ADMIN) === 0);
    for (const { member } of members.sort(compareCertificates).slice(MAX_SIGNERS)) {
      this.#certificates.delete(member.device);
      this.#byDevice.delete(member.device);
    }
    for (const [device, revocations] of this.#byDevice) {
      const sorted = [...revocations].sort(([, a], [, b]) => compareRevocations(a, b));
      for (const [key] of sorted.slice(this.#limitOf(device))) revocations.delete(key);
    }
  }

  /** What claims a generation that the root key never began does not count. */
  #latestSettings(): [DeviceId | 'root', SignedSettings] | undefined {
    const current = this.#generation;
    return [...this.#settings]
      .filter(([, { settings }]) => settings.generation <= current)
      .sort(([, a], [, b]) => compareSettings(a, b))
      .at(-1);
  }

  get #generation(): number {
    return this.#settings.get('root')?.settings.generation ?? 0;
  }

  #limitOf(device: DeviceId): number {
    return this.isAdmin(device) ? MAX_BY_ADMIN : MAX_BY_MEMBER;
  }

  #isRevokedByRoot(device: DeviceId): boolean {
    return this.#byRoot.has(revocationKey({ kind: 'device', device }));
  }

  #revokedSet(): ReadonlySet<DeviceId> {
    this.#revoked ??= this.#computeRevoked();
    return this.#revoked;
  }

  #computeRevoked(): Set<DeviceId> {
    const revoked = new Set<DeviceId>();
    const add = ({ target }: Revocation): void => {
      if (target.kind === 'device') revoked.add(target.device);
    };
    for (const [signer, revocations] of this.#byDevice) {
      if (this.isAdmin(signer)) for (const revocation of revocations.values()) add(revocation);
    }
    for (const device of revoked) if (this.isAdmin(device)) revoked.delete(device);
    for (const revocation of this.#byRoot.values()) add(revocation);
    return revoked;
  }

  /** Over bodies alone: several signatures are valid for one body. Without certificates that only prove a signer's right. */
  #computeHead(): string {
    const byRoot = [...this.#byRoot.values()].map(({ signed }) => signed.body);
    const others: Buffer[] = [];
    for (const [device, revocations] of this.#byDevice) {
      for (const { signed } of revocations.values()) others.push(Buffer.concat([deviceIdBytes(device), signed.body]));
    }
    for (const [device, { signed }] of this.#settings) {
      others.push(Buffer.concat([device === 'root' ? Buffer.alloc(0) : deviceIdBytes(device), signed.body]));
    }
    for (const certificate of this.#certificates.values()) {
      if (isAdminCertificate(certificate)) others.push(certificate.signed.body);
    }
    // As it was when there was nothing else, for members who know nothing else.
    const ofRoot = byRoot.sort(Buffer.compare);
    return sha256(encode(others.length === 0 ? ofRoot : [ofRoot, others.sort(Buffer.compare)])).toString('hex');
  }

  #toSet(): StatementSet {
    return {
      byRoot: [...this.#byRoot.values()],
      byDevice: [...this.#byDevice].flatMap(([device, revocations]) =>
        [...revocations.values()].map((revocation) => ({ device, revocation })),
      ),
      settings: [...this.#settings].map(([by, settings]) => ({ device: by === 'root' ? undefined : by, settings })),
      certificates: [...this.#certificates.values()],
    };
  }

  #sizeByRoot(): number {
    let size = 0;
    for (const { signed } of this.#byRoot.values()) size += signed.body.length + 128;
    return size;
  }
}

function addTo(revocations: Map<string, Revocation>, revocation: Revocation): void {
  const key = revocationKey(revocation.target);
  const known = revocations.get(key);
  if (!known || compareRevocations(revocation, known) < 0) revocations.set(key, revocation);
}

function isAdminCertificate(certificate: Certified | undefined): certificate is Certified {
  return certificate !== undefined && (certificate.member.rights & MAY_ADMIN) !== 0;
}

/** Of several of one device, the lower is kept: those of admins, then the oldest. */
function compareCertificates(a: Certified, b: Certified): number {
  return (
    Number(isAdminCertificate(b)) - Number(isAdminCertificate(a)) ||
    a.member.date - b.member.date ||
    Buffer.compare(a.signed.body, b.signed.body)
  );
}

const tooMany = (): PeerwireError =>
  new PeerwireError('unsupported', 'This network has too many revocations; create a new one.');
const notSigned = (): PeerwireError =>
  new PeerwireError('not-admitted', 'A statement about the network was not signed by its creator, nor by an admin.');
const notAllowed = (): PeerwireError =>
  new PeerwireError('permission', 'Only the creator of the network and its admins can do this.');
const onlyCreatorSets = (): PeerwireError =>
  new PeerwireError(
    'permission',
    'Only the creator can change name and trackers now, since an admin used up their numbers.',
  );
const onlyCreator = (): PeerwireError =>
  new PeerwireError('permission', 'Only the creator of the network can remove an admin.');
