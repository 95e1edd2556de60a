/** Messages of peer exchange (BEP 11): payloads of the extension `ut_pex`. */
import { PeerwireError } from '../../common/errors.ts';
import { type BDict, type BValue, bytesOf, decode, dictOf, encode, field } from '../bencode.ts';
import { COMPACT_SIZE, decodeCompact, encodeCompact, type PeerAddress } from '../compact-address.ts';

/** Addresses in each of `added` and `dropped`, both families together: more are neither sent nor read. */
export const MAX_PEX_PEERS = 50;

/** Flag of BEP 11: an outgoing connection to the peer succeeded. */
export const PEX_REACHABLE = 0x10;

export interface PexPeer extends PeerAddress {
  /** One byte of PEX flags. */
  readonly flags: number;
}

export interface PexMessage {
  readonly added: readonly PexPeer[];
  readonly dropped: readonly PeerAddress[];
}

const LIMITS = { depth: 4, tokens: 256 };

/** Addresses that have no compact form are left out, as is what exceeds MAX_PEX_PEERS. */
export function encodePex({ added, dropped }: PexMessage): Buffer {
  const addedBy = byFamily(added);
  const droppedBy = byFamily(dropped);
  // libtorrent ignores `added` without flags of matching length, so they are always there.
  return encode({
    added: addedBy.v4.bytes,
    'added.f': flagsOf(addedBy.v4.peers),
    added6: addedBy.v6.bytes,
    'added6.f': flagsOf(addedBy.v6.peers),
    dropped: droppedBy.v4.bytes,
    dropped6: droppedBy.v6.bytes,
  });
}

function flagsOf(peers: readonly PexPeer[]): Buffer {
  return Buffer.from(peers.map((peer) => peer.flags));
}

interface Family<T> {
  readonly peers: T[];
  readonly bytes: Buffer;
}

function byFamily<T extends PeerAddress>(all: readonly T[]): { v4: Family<T>; v6: Family<T> } {
  const encoded = all
    .map((peer) => ({ peer, bytes: encodeCompact(peer) }))
    .filter((entry): entry is { peer: T; bytes: Buffer } => entry.bytes !== undefined)
    .slice(0, MAX_PEX_PEERS);
  const family = (size: number): Family<T> => {
    const entries = encoded.filter((entry) => entry.bytes.length === size);
    return { peers: entries.map((entry) => entry.peer), bytes: Buffer.concat(entries.map((entry) => entry.bytes)) };
  };
  return { v4: family(COMPACT_SIZE[4]), v6: family(COMPACT_SIZE[6]) };
}

/** Throws 'bad-encoding'. Addresses with port 0 are left out. */
export function decodePex(payload: Uint8Array): PexMessage {
  const fields = dictOf(decode(payload, LIMITS));
  const added = [...readAdded(fields, 'added', 4), ...readAdded(fields, 'added6', 6)];
  const dropped = [...readAddresses(fields, 'dropped', 4).addresses, ...readAddresses(fields, 'dropped6', 6).addresses];
  const usable = ({ port }: PeerAddress): boolean => port !== 0;
  return {
    added: added.filter(usable).slice(0, MAX_PEX_PEERS),
    dropped: dropped.filter(usable).slice(0, MAX_PEX_PEERS),
  };
}

function readAdded(fields: BDict, key: string, family: 4 | 6): PexPeer[] {
  const { count, addresses } = readAddresses(fields, key, family);
  const flags = field(fields, `${key}.f`, (value: BValue) => bytesOf(value));
  if (flags && flags.length !== count) {
    throw new PeerwireError('bad-encoding', `${key}.f does not have a flag for each address.`);
  }
  return addresses.map((address, index) => ({ ...address, flags: flags?.[index] ?? 0 }));
}

/** How many addresses there are, and those of them that are read. */
function readAddresses(fields: BDict, key: string, family: 4 | 6): { count: number; addresses: PeerAddress[] } {
  const bytes = field(fields, key, (value: BValue) => bytesOf(value)) ?? Buffer.alloc(0);
  const size = COMPACT_SIZE[family];
  const excess = Math.max(0, bytes.length - MAX_PEX_PEERS * size);
  const addresses = decodeCompact(bytes.subarray(0, bytes.length - excess), family);
  if (excess % size !== 0) throw new PeerwireError('bad-encoding', `${key} does not hold whole addresses.`);
  return { count: bytes.length / size, addresses };
}
