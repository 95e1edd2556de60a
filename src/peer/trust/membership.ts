import { type Clock, systemClock } from '../../common/clock.ts';
import { PeerwireError } from '../../common/errors.ts';
import { Emitter, type Event } from '../../common/event.ts';
import type { DeviceId, NetworkId } from '../../common/ids.ts';
import { type Identity, loadIdentity } from '../../transport/identity.ts';
import { MAX_CREDENTIALS } from '../../transport/member-handshake.ts';
import type { Admission, NetworkAccess } from '../../transport/network-access.ts';
import { MAY_ADMIN, MAY_INVITE, readInvite, signCountersignature, signInvite } from './certificates.ts';
import {
  type Credentials,
  decodeCredentials,
  encodeCredentials,
  type InviteProof,
  type Link,
  MAX_LINKS,
} from './credentials.ts';
import { certify, checkTrackers, enterNetwork, foundNetwork, signIn } from './enter-network.ts';
import { type Heard, HeardStatements } from './heard-statements.ts';
import { encodeInvite, parseInvite } from './invite.ts';
import { createInviteKey } from './invite-key.ts';
import { type Grounds, judge, rankOf, type Standing } from './judge.ts';
import { type KnownInvite, KnownInvites } from './known-invites.ts';
import { type Met, MetMembers } from './met-members.ts';
import { displayName } from './names.ts';
import type { NetworkSettings } from './network-settings.ts';
import { controlInfoHash, lanInfoHashes, rendezvousInfoHashes } from './rendezvous.ts';
import { type Revocation, type RevocationTarget, revocationKey } from './revocation.ts';
import { type Signer, Statements } from './statements.ts';
import { parseTrust, serializeTrust, type TrustState } from './trust-state.ts';

/** What an admitted peer showed of itself (`SecureChannel.member`). */
export interface Member {
  readonly device: DeviceId;
  /** Who invited it; undefined for the creator. */
  readonly inviter: DeviceId | undefined;
  /** True for the device that created the network. */
  readonly creator: boolean;
  /** When it was admitted: milliseconds since the epoch. */
  readonly date: number;
  /** Its key, 91 bytes. */
  readonly spki: Buffer;
  /** Head of its revocations: when it differs from `NetworkTrust.revocationHead`, exchange `revocationsBytes`. */
  readonly revocationHead: string;
}

/**
 * What becomes of what an admin said when the creator removes it: it undoes what is recent (see `RECENT`), all, or nothing.
 * What is undone can be said again; what is kept, the root key signs, and nobody takes that back.
 */
export type Undo = (typeof UNDOS)[number];
export const UNDOS = ['recent', 'all', 'nothing'] as const;

export interface TrustOptions {
  readonly clock?: Clock;
}

const DEFAULT_VALIDITY = 7 * 24 * 3_600_000;
/** What an admin said within this time (ms) before the creator removes it is not kept, unless the creator says so. */
export const RECENT = 24 * 3_600_000;
/** A year: an invite that is found later must be dead. */
const MAX_VALIDITY = 366 * 24 * 3_600_000;

/**
 * This device's membership of one network, and its judgment of others'. The owner stores `serialize()` in the secret
 * store at each `onChanged`.
 */
export class NetworkTrust implements NetworkAccess<Member> {
  readonly #identity: Identity;
  readonly #clock: Clock;
  readonly #rootKey: Buffer;
  /** The root key itself, on the creator's device. */
  readonly #root: Identity | undefined;
  readonly #statements: Statements;
  readonly #met: MetMembers;
  readonly #invites: KnownInvites;
  readonly #heard: HeardStatements;
  readonly #changed = new Emitter<void>();
  readonly #judged = new Emitter<Member>();
  readonly #revoked = new Emitter<readonly DeviceId[]>();
  /** What the invite said, or the creator's device when it made the network: `settings` come before them. */
  readonly #firstName: string;
  readonly #firstTrackers: readonly string[];
  /** Our own chain; its last link is this device. */
  #links: readonly Link[];

  readonly onChanged: Event<void> = this.#changed.event;
  /** A device showed its membership, and it holds: when it connected, or in something that it signed. */
  readonly onJudged: Event<Member> = this.#judged.event;
  /** Devices newly revoked: disconnect them, forget their catalogues. May name this device itself. */
  readonly onRevoked: Event<readonly DeviceId[]> = this.#revoked.event;
  readonly network: NetworkId;
  readonly secret: Buffer;
  /** 20 bytes: SHA-256("peerwire control" || network id). The infohash of control connections. */
  readonly controlInfoHash: Buffer;

  private constructor(identity: Identity, state: TrustState, options: TrustOptions) {
    this.#identity = identity;
    this.#clock = options.clock ?? systemClock;
    this.network = state.network;
    this.#firstName = state.name;
    this.secret = state.secret;
    this.controlInfoHash = controlInfoHash(state.network);
    this.#rootKey = state.rootKey;
    this.#root = state.rootPrivateKey === undefined ? undefined : loadIdentity(state.rootPrivateKey);
    this.#firstTrackers = state.trackers;
    this.#statements = new Statements(state.network, state.rootKey, this.#clock);
    this.#statements.merge(state.revocations);
    this.#met = new MetMembers(state.met);
    this.#invites = new KnownInvites(state.invites);
    this.#heard = new HeardStatements(state.heard);
    this.#noteHeard();
    this.#links = decodeCredentials(state.credentials).links;
    if (!this.#links.at(-1)?.spki.equals(identity.spki)) {
      throw new PeerwireError('corrupt', 'The stored membership belongs to another device; join the network again.');
    }
  }

  /** Throws `usage` (name) or `unsupported` (a tracker URL). */
  static createNetwork(
    identity: Identity,
    name: string,
    trackers: readonly string[],
    options: TrustOptions = {},
  ): NetworkTrust {
    return new NetworkTrust(identity, foundNetwork(identity, name, trackers, timeOf(options)), options);
  }

  /** Throws `invalid-invite` or `expired`. Works offline: the invite key signs this device in. */
  static joinNetwork(identity: Identity, invite: string, options: TrustOptions = {}): NetworkTrust {
    return new NetworkTrust(identity, enterNetwork(identity, parseInvite(invite), timeOf(options)), options);
  }

  /** Reads what `serialize` wrote for this device. Throws `corrupt`. */
  static load(identity: Identity, serialized: string, options: TrustOptions = {}): NetworkTrust {
    const state = parseTrust(serialized);
    try {
      return new NetworkTrust(identity, state, options);
    } catch (error) {
      if (error instanceof PeerwireError && error.code === 'corrupt') throw error;
      // No cause: it could quote a secret.
      throw new PeerwireError('corrupt', 'The stored membership of a network is damaged; join it again.');
    }
  }

  /** JSON with secrets in it: for the secret store only. */
  serialize(): string {
    return serializeTrust({
      network: this.network,
      name: this.#firstName,
      rootKey: this.#rootKey,
      secret: this.secret,
      rootPrivateKey: this.#root?.keyPem,
      trackers: this.#firstTrackers,
      credentials: this.credentials(),
      revocations: this.#statements.encode(),
      met: this.#met.list(),
      invites: this.#invites.toStore(this.#clock.wallTime(), ({ id, inviter }) => this.isWithdrawn(id, inviter)),
      ...(this.#root ? { heard: this.#heard.list() } : {}),
    });
  }

  /**
   * Takes over what another peer of this device stored meanwhile (each editor window has its own `NetworkTrust`). Returns
   * true when that lacks something of ours: both stored at once. Throws `corrupt`.
   */
  absorb(serialized: string): boolean {
    const state = parseTrust(serialized);
    if (state.network !== this.network) return false;
    this.applyRevocations(state.revocations);
    for (const met of state.met) this.#remember(met);
    for (const invite of state.invites) this.#invites.add(invite);
    this.#heard.absorb(state.heard ?? []);
    this.acceptCountersignature(state.credentials);
    return (
      !state.revocations.equals(this.#statements.encode()) ||
      state.met.length < this.#met.list().length ||
      state.invites.length < this.#invites.list().length
    );
  }

  /**
   * Signs this device in again, for a member whom others refuse because its first invite expired before anyone met it.
   * Returns false when the membership it has is as good. Throws `invalid-invite`, `expired`, or `usage` for another
   * network's invite.
   */
  renew(text: string): boolean {
    const invite = parseInvite(text);
    if (invite.network !== this.network) throw new PeerwireError('usage', 'This invite is for another network.');
    const links = [signIn(this.#identity, invite, this.#clock.wallTime())];
    const own = this.#ownStanding();
    if (own && rankOf(own) < rankOf(judge(links, this.#grounds()))) return false;
    this.#adopt(links);
    return true;
  }

  /** True on the device that holds the root key. */
  get creator(): boolean {
    return this.#root !== undefined;
  }

  /** True when `createInvite` will work: for the creator, and for members whom the creator has met. */
  get mayInvite(): boolean {
    return !this.isRevoked(this.#identity.device) && (this.creator || this.#certificate() !== undefined);
  }

  get name(): string {
    return this.#statements.settings?.name ?? this.#firstName;
  }

  get trackers(): readonly string[] {
    return this.#statements.settings?.trackers ?? this.#firstTrackers;
  }

  /** For all members. Throws `permission`, `usage` (too many) or `unsupported` (a URL that we refuse to ask). */
  setTrackers(trackers: readonly string[]): void {
    this.#set({ name: this.name, trackers: checkTrackers(trackers) });
  }

  /** For all members. Throws `permission` or `usage`. */
  rename(name: string): void {
    const shown = displayName(name);
    if (shown === '') throw new PeerwireError('usage', 'A network needs a name.');
    this.#set({ name: shown, trackers: this.trackers });
  }

  /** Creator only (`permission`): the member may revoke others and change the settings from now on. Throws `revoked`. */
  makeAdmin(member: {
    readonly device: DeviceId;
    readonly spki: Buffer;
    readonly inviter?: DeviceId | undefined;
    readonly joined?: number | undefined;
  }): void {
    const root = this.#root;
    if (!root) throw new PeerwireError('permission', 'Only the device that created the network can make admins.');
    const { device, spki, inviter, joined } = member;
    if (this.isRevoked(device)) throw new PeerwireError('revoked', 'This device was removed from the network.');
    if (this.isAdmin(device)) return;
    const now = this.#clock.wallTime();
    const own = this.#ownStanding();
    // Of its own device too: no admin may remove it.
    this.#certifyAdmin({ spki: this.#identity.spki, inviter: undefined, date: own?.date ?? now }, root);
    const [invite] = this.#met.invitesOf(device);
    this.#certifyAdmin({ spki, inviter: inviter ?? this.#identity.device, invite, date: joined ?? now }, root);
    this.#changed.fire();
  }

  /** Returns the link. `validFor`: milliseconds, at most a year, default 7 days. Throws `permission` or `usage`. */
  createInvite(options: { readonly inviterName: string; readonly validFor?: number }): string {
    const certificate = this.#certificate();
    const signer = this.#root ?? (certificate && this.#identity);
    if (!signer || !this.mayInvite) {
      throw new PeerwireError(
        'permission',
        'This device may invite others once it has been connected to the device that created the network.',
      );
    }
    const validFor = options.validFor ?? DEFAULT_VALIDITY;
    if (!(validFor > 0 && validFor <= MAX_VALIDITY)) {
      throw new PeerwireError('usage', 'An invite is valid for a year at most.');
    }
    const key = createInviteKey();
    const created = this.#clock.wallTime();
    const inviter = { inviter: this.#identity.device, inviterName: displayName(options.inviterName) };
    const dates = { created, expires: created + Math.ceil(validFor) };
    const signed = signInvite(this.network, { spki: key.spki, ...inviter, ...dates }, signer.sign);
    const issuer = this.#root ? undefined : certificate;
    const invite = readInvite(signed);
    const text = encodeInvite({
      networkName: this.name,
      rootKey: this.#rootKey,
      secret: this.secret,
      key,
      proof: { invite, signed, issuer },
      trackers: this.trackers,
    });
    this.#invites.add({ id: invite.id, ...dates, ...inviter, text });
    this.#changed.fire();
    return text;
  }

  credentials(): Buffer {
    return this.#encode(this.#links);
  }

  /** Throws `not-admitted`, `revoked` or `expired`. Offers a countersignature when it makes the other's chain better. */
  admit(device: DeviceId, spki: Buffer, credentials: Buffer): Admission<Member> {
    const { shown, standing } = judgeOrRefuse(credentials, this.#grounds());
    // The chain is no secret: only the holder of the key in the TLS session may show it.
    if (!shown.links.at(-1)?.spki.equals(spki) || standing.device !== device) {
      throw new PeerwireError('not-admitted', 'The peer shows the membership of another device.');
    }
    const { invite, inviter, date, current, certified } = standing;
    // Admins remember all, to know which invite to withdraw with a member.
    if (invite !== undefined && (current || this.admin)) this.#remember({ device, invite, date });
    const creator = certified && inviter === undefined;
    const revocationHead = shown.revocationHead.toString('hex');
    const member: Member = { device, inviter, creator, date, spki, revocationHead };
    this.#noteInvite(shown.links.at(-1));
    this.#judged.fire(member);
    const better = this.#vouchFor(shown.links, standing);
    const countersignature = better && this.#encode(better);
    if (!countersignature || countersignature.length > MAX_CREDENTIALS) return { member };
    return { member, countersignature };
  }

  /** Adopts credentials that another member made for this device, if they are valid and better than ours. */
  acceptCountersignature(bytes: Buffer): void {
    let links: readonly Link[];
    let standing: Standing;
    try {
      ({ links } = decodeCredentials(bytes));
      standing = judge(links, this.#grounds());
    } catch {
      // From whoever vouched for us: nothing is lost by ignoring what does not hold.
      return;
    }
    if (!links.at(-1)?.spki.equals(this.#identity.spki)) return;
    const own = this.#ownStanding();
    if (own && rankOf(standing) >= rankOf(own)) return;
    this.#adopt(links);
  }

  /**
   * By creator and admins, and of admins by the creator (`permission`). Also withdraws the invites by which the device
   * came, so that it cannot come back under another identity; members who came by the same invites and were
   * countersigned before stay. What the creator keeps of a removed admin's word, it signs again. Returns the devices that
   * this brought back: an admin had removed them.
   */
  revoke(device: DeviceId, undo: Undo = 'recent'): DeviceId[] {
    if (device === this.#identity.device) throw new PeerwireError('usage', 'This device cannot remove itself.');
    const signer = this.#signer();
    const before = this.#statements.revokedDevices();
    const invites = this.#met.invitesOf(device).map((invite) => ({ kind: 'invite', invite }) as const);
    const targets = [{ kind: 'device', device } as const, ...invites].map((target) => ({ target, date: undefined }));
    if (!('root' in signer)) {
      this.#revoke(targets, signer);
      return [];
    }
    const settings = this.#statements.settingsBy(device);
    const isKept = settings && !this.#isUndone(undo, device, settingsKey(settings.sequence), settings.date);
    this.#revoke([...this.#keptRevocations(device, undo), ...targets], signer);
    // From here on its sequence does not count: what it used up of them is free again.
    if (isKept) this.#set(settings);
    return before.filter((other) => !this.isRevoked(other));
  }

  /**
   * By creator and admins, and of an invite that this device made (`permission`). An invite that may have fallen into
   * wrong hands admits nobody any more. `invite`: its id in hex, or the invite itself.
   */
  withdrawInvite(invite: string): void {
    const id = this.#inviteId(invite);
    const isOwn = this.#invites.get(id)?.inviter === this.#identity.device;
    const certificate = this.#certificate();
    const own = isOwn && certificate ? { sign: this.#identity.sign, ...certificate } : undefined;
    const signer = this.admin ? this.#signer() : (own ?? this.#signer());
    this.#revoke([{ target: { kind: 'invite', invite: id }, date: undefined }], signer);
  }

  /** Invites made on this device, and those seen elsewhere that are withdrawn. */
  invites(): KnownInvite[] {
    const own = this.#identity.device;
    return this.#invites.list().filter(({ id, inviter }) => inviter === own || this.isWithdrawn(id, inviter));
  }

  /** True when the invite of this id, made by this device, admits nobody any more though it may not have expired. */
  isWithdrawn(invite: string, inviter: DeviceId): boolean {
    return this.#statements.dateOf({ kind: 'invite', invite }, inviter) !== undefined || this.isRevoked(inviter);
  }

  /** This device may revoke members and invites, and change the settings. */
  get admin(): boolean {
    return this.isAdmin(this.#identity.device);
  }

  /** True for the creator only where that is known: on its own device, and where it has made another admin. */
  isAdmin(device: DeviceId): boolean {
    return (this.creator && device === this.#identity.device) || this.#statements.isAdmin(device);
  }

  revokedDevices(): readonly DeviceId[] {
    return this.#statements.revokedDevices();
  }

  /** Who removed the device, and when by the word of who did; `by` is undefined for the creator. */
  removalOf(device: DeviceId): { readonly by: DeviceId | undefined; readonly date: number } | undefined {
    return this.#statements.removalOf(device);
  }

  /** Who invited this device, and when it was admitted; undefined while others would refuse it. */
  get ownMembership(): { readonly inviter: DeviceId | undefined; readonly joined: number } | undefined {
    const own = this.#ownStanding();
    return own && { inviter: own.inviter, joined: own.date };
  }

  isRevoked(device: DeviceId): boolean {
    return this.#statements.isRevoked(device);
  }

  /** Names the set of revocations known here; equal heads mean equal sets. */
  get revocationHead(): string {
    return this.#statements.head;
  }

  /** All revocations known here, for gossip. */
  revocationsBytes(): Buffer {
    return this.#statements.encode();
  }

  /** Adds revocations of another peer; returns the devices newly revoked. Throws `bad-encoding` or `not-admitted`. */
  applyRevocations(bytes: Uint8Array): DeviceId[] {
    const before = this.revocationHead;
    const devices = this.#statements.merge(bytes);
    this.#adoptAdminCertificate();
    this.#noteHeard();
    if (this.revocationHead !== before) this.#changed.fire();
    if (devices.length > 0) this.#revoked.fire(devices);
    return devices;
  }

  /** See `rendezvous.ts`. `now`: milliseconds since the epoch. */
  rendezvousInfoHashes(now: number): Buffer[] {
    return rendezvousInfoHashes(this.network, this.secret, now);
  }

  /** See `rendezvous.ts`. `now`: milliseconds since the epoch. */
  lanInfoHashes(now: number): Buffer[] {
    return lanInfoHashes(this.network, this.secret, now);
  }

  /** A better chain for another member than the one it showed, or undefined. */
  #vouchFor(links: readonly Link[], standing: Standing): readonly Link[] | undefined {
    const last = links.at(-1);
    if (last?.kind !== 'joined' || standing.invite === undefined) return undefined;
    const { device, inviter, invite, date } = standing;
    if (this.#root) return [certify(this.network, { spki: last.spki, inviter, invite, date }, this.#root.sign)];
    const own = this.#ownStanding();
    if (!own || this.#links.length >= MAX_LINKS) return undefined;
    if (rankOf({ distance: own.distance + 1, vouched: true }) >= rankOf(standing)) return undefined;
    const countersignature = signCountersignature(this.network, { device, invite, date }, this.#identity.sign);
    return [...this.#links, { ...last, countersignature }];
  }

  /** Undefined while others would refuse us. */
  #ownStanding(): Standing | undefined {
    try {
      return judge(this.#links, this.#grounds());
    } catch {
      return undefined;
    }
  }

  #grounds(): Grounds {
    return {
      network: this.network,
      rootKey: this.#rootKey,
      revocations: this.#statements,
      now: this.#clock.wallTime(),
      remembered: (device, invite) => this.#met.dateOf(device, invite),
    };
  }

  #adopt(links: readonly Link[]): void {
    this.#links = links;
    this.#changed.fire();
  }

  #remember(met: Met): void {
    if (met.device !== this.#identity.device && this.#met.add(met)) this.#changed.fire();
  }

  /** `date`: now, when undefined. */
  #revoke(
    revocations: readonly { readonly target: RevocationTarget; readonly date: number | undefined }[],
    signer: Signer,
  ): void {
    const before = new Set(this.#statements.revokedDevices());
    const now = this.#clock.wallTime();
    for (const { target, date } of revocations) this.#statements.revoke(target, date ?? now, signer);
    this.#changed.fire();
    const revoked = this.#statements.revokedDevices().filter((device) => !before.has(device));
    if (revoked.length > 0) this.#revoked.fire(revoked);
  }

  /** What the root key signs again of what a device revoked that it now revokes. */
  #keptRevocations(device: DeviceId, undo: Undo): { readonly target: RevocationTarget; readonly date: number }[] {
    const isAdmin = this.#statements.isAdmin(device);
    return this.#statements.revocationsBy(device).flatMap(({ target, date }) => {
      const about = revocationKey(target);
      // Of a member who was no admin, only what it had the right to: under the root key it would count for everybody.
      const isRightful = isAdmin || (target.kind === 'invite' && this.#invites.get(target.invite)?.inviter === device);
      if (!isRightful || (isAdmin && this.#isUndone(undo, device, about, date))) return [];
      // As it was dated first: an earlier date put in later could throw out whoever came by an invite.
      return [{ target, date: this.#heard.get(device, about)?.date ?? date }];
    });
  }

  #isUndone(undo: Undo, by: DeviceId, about: string, date: number): boolean {
    if (undo !== 'recent') return undo === 'all';
    const now = this.#clock.wallTime();
    const since = this.#heard.get(by, about)?.since ?? now;
    // Whoever dates something back said it no earlier for that.
    return Math.max(since, Math.min(date, now)) > now - RECENT;
  }

  #noteHeard(): void {
    if (!this.#root) return;
    const said = [...this.#statements.signers()].flatMap((by): Omit<Heard, 'since'>[] => {
      const about = ({ target, date }: Revocation) => ({ by, about: revocationKey(target), date });
      const settings = this.#statements.settingsBy(by);
      return [
        ...this.#statements.revocationsBy(by).map(about),
        ...(settings ? [{ by, about: settingsKey(settings.sequence), date: settings.date }] : []),
      ];
    });
    this.#heard.note(said, this.#clock.wallTime());
  }

  #set({ name, trackers }: Pick<NetworkSettings, 'name' | 'trackers'>): void {
    this.#statements.set({ name, trackers }, this.#clock.wallTime(), this.#signer());
    this.#changed.fire();
  }

  /** Throws `permission`. */
  #signer(): Signer {
    if (this.#root) return { root: this.#root.sign };
    const certificate = this.#statements.adminCertificate(this.#identity.device);
    if (certificate && !this.isRevoked(this.#identity.device)) return { sign: this.#identity.sign, ...certificate };
    throw new PeerwireError('permission', 'Only the creator of the network and its admins can do this.');
  }

  #certifyAdmin(member: Parameters<typeof certify>[1], root: Identity): void {
    this.#statements.certify(certify(this.network, { ...member, admin: true }, root.sign));
  }

  /** The creator made this device an admin while it was away: that certificate is its membership from now on. */
  #adoptAdminCertificate(): void {
    const certificate = this.#statements.adminCertificate(this.#identity.device);
    const last = this.#links.at(-1);
    if (!certificate || (last?.kind === 'certified' && (last.member.rights & MAY_ADMIN) !== 0)) return;
    this.#links = [{ kind: 'certified', spki: certificate.member.spki, ...certificate }];
  }

  /** What is needed to list it, should it be withdrawn. */
  #noteInvite(link: Link | undefined): void {
    if (link?.kind !== 'joined') return;
    const { id, created, expires, inviter, inviterName } = link.proof.invite;
    this.#invites.add({ id, created, expires, inviter, inviterName: displayName(inviterName) });
  }

  #inviteId(text: string): string {
    const id = text.trim().toLowerCase();
    if (/^[0-9a-f]{64}$/.test(id)) return id;
    const { network, proof } = parseInvite(text);
    if (network !== this.network) throw new PeerwireError('usage', 'This invite is for another network.');
    return proof.invite.id;
  }

  /** Our own certificate by the root key, with the right to invite. */
  #certificate(): InviteProof['issuer'] {
    const last = this.#links.at(-1);
    if (last?.kind !== 'certified' || (last.member.rights & MAY_INVITE) === 0) return undefined;
    return { member: last.member, signed: last.signed };
  }

  #encode(links: readonly Link[]): Buffer {
    return encodeCredentials({ links, revocationHead: Buffer.from(this.#statements.head, 'hex') });
  }
}

function settingsKey(sequence: number): string {
  return `settings ${sequence}`;
}

function timeOf(options: TrustOptions): number {
  return (options.clock ?? systemClock).wallTime();
}

function judgeOrRefuse(bytes: Buffer, grounds: Grounds): { shown: Credentials; standing: Standing } {
  try {
    const shown = decodeCredentials(bytes);
    return { shown, standing: judge(shown.links, grounds) };
  } catch (error) {
    if (error instanceof PeerwireError && error.code !== 'bad-encoding') throw error;
    throw new PeerwireError('not-admitted', 'The peer shows a membership that cannot be read.', { cause: error });
  }
}
