import { bytesOf, decode, dictOf, encode, field, intOf, listOf, textOf } from '../../bittorrent/bencode.ts';
import { sha256 } from '../../bittorrent/merkle.ts';
import { PeerwireError } from '../../common/errors.ts';
import { type DeviceId, deviceIdBytes, deviceIdFromHash, type NetworkId } from '../../common/ids.ts';
import { type Sign, type Signed, signBody, signedFromBencode, signedToBencode, verifySigned } from './signed.ts';

/** Bytes of all revocations of a network together; the creator makes no more than fit. */
export const MAX_REVOCATIONS = 512 * 1024;

export type RevocationTarget =
  | { readonly kind: 'device'; readonly device: DeviceId }
  | { readonly kind: 'invite'; readonly invite: string };

interface Revocation {
  readonly target: RevocationTarget;
  readonly date: number;
  readonly signed: Signed;
}

/**
 * Who and what the creator has removed: a set of statements signed by the root key that only grows. So it is merged
 * in any order and from anyone, and nobody can take a statement back by replaying an older set.
 */
export class Revocations {
  readonly #network: NetworkId;
  readonly #rootKey: Buffer;
  readonly #entries = new Map<string, Revocation>();
  #head: string | undefined;

  constructor(network: NetworkId, rootKey: Buffer) {
    this.#network = network;
    this.#rootKey = rootKey;
  }

  isRevoked(device: DeviceId): boolean {
    return this.#entries.has(`device ${device}`);
  }

  devices(): DeviceId[] {
    return [...this.#entries.values()].flatMap(({ target }) => (target.kind === 'device' ? [target.device] : []));
  }

  /** When the device or invite was revoked, in milliseconds since the epoch by the creator's clock. */
  dateOf(target: RevocationTarget): number | undefined {
    return this.#entries.get(keyOf(target))?.date;
  }

  /** SHA-256 over all statements, in hex: equal heads mean equal sets. */
  get head(): string {
    // Over the bodies alone: several signatures are valid for one body.
    this.#head ??= sha256(encode(this.#sorted().map(({ signed }) => signed.body))).toString('hex');
    return this.#head;
  }

  encode(): Buffer {
    return encode({ v: 1, r: this.#sorted().map(({ signed }) => signedToBencode(signed)) });
  }

  /** Adds one, signed with the root key. */
  revoke(target: RevocationTarget, date: number, root: Sign): void {
    if (this.#entries.has(keyOf(target))) return;
    const x = target.kind === 'device' ? deviceIdBytes(target.device) : Buffer.from(target.invite, 'hex');
    const signed = signBody('revoke', this.#network, { k: target.kind, t: date, x }, root);
    if (this.encode().length + signed.body.length + 128 > MAX_REVOCATIONS) {
      throw new PeerwireError('unsupported', 'This network has too many revocations; create a new one.');
    }
    this.#add({ target, date, signed });
  }

  /**
   * Merges what another member sent. Returns the statements that were new. Throws `bad-encoding`, or `not-admitted`
   * for a statement that the root key did not sign; then nothing was merged.
   */
  merge(bytes: Uint8Array): RevocationTarget[] {
    if (bytes.length > MAX_REVOCATIONS) throw new PeerwireError('bad-encoding', 'Too many revocations.');
    const dict = dictOf(decode(bytes));
    if (intOf(field(dict, 'v')) !== 1) throw new PeerwireError('bad-encoding', 'Revocations of an unknown version.');
    const added: Revocation[] = [];
    for (const item of listOf(field(dict, 'r'))) {
      const revocation = readRevocation(signedFromBencode(dictOf(item)));
      const known = this.#entries.get(keyOf(revocation.target));
      if (known?.signed.body.equals(revocation.signed.body)) continue;
      if (!verifySigned('revoke', this.#network, revocation.signed, this.#rootKey)) {
        throw new PeerwireError('not-admitted', 'A revocation was not signed by the creator of the network.');
      }
      added.push(revocation);
    }
    return added.filter((revocation) => this.#add(revocation)).map(({ target }) => target);
  }

  /** True when the target was not revoked before. */
  #add(revocation: Revocation): boolean {
    const key = keyOf(revocation.target);
    const known = this.#entries.get(key);
    // Two windows of the creator may revoke the same device: all members must settle on the same statement.
    if (known && compare(known, revocation) <= 0) return false;
    this.#entries.set(key, revocation);
    this.#head = undefined;
    return known === undefined;
  }

  #sorted(): Revocation[] {
    return [...this.#entries.values()].sort((a, b) => Buffer.compare(a.signed.body, b.signed.body));
  }
}

function compare(a: Revocation, b: Revocation): number {
  return a.date - b.date || Buffer.compare(a.signed.body, b.signed.body);
}

function keyOf(target: RevocationTarget): string {
  return target.kind === 'device' ? `device ${target.device}` : `invite ${target.invite}`;
}

function readRevocation(signed: Signed): Revocation {
  const dict = dictOf(decode(signed.body));
  const date = intOf(field(dict, 't'), 0);
  const target = bytesOf(field(dict, 'x'), 32);
  const kind = textOf(field(dict, 'k'), 16);
  if (kind === 'device') return { target: { kind, device: deviceIdFromHash(target) }, date, signed };
  if (kind === 'invite') return { target: { kind, invite: target.toString('hex') }, date, signed };
  throw new PeerwireError('bad-encoding', 'A revocation of an unknown kind.');
}
