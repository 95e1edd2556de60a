import { bytesOf, decode, dictOf, encode, intOf, textOf } from '../../../bittorrent/bencode.ts';
import { PeerwireError } from '../../../common/errors.ts';
import { deviceIdBytes, deviceIdFromHash, parsePeerInstance } from '../../../common/ids.ts';
import type { PeerRef } from '../channel.ts';

/** Bytes of a secret that names one end of a relayed connection. */
export const TOKEN_SIZE = 16;
/** Bytes of an id that ties an answer to its request. */
export const REQUEST_ID_SIZE = 8;
/** Peers that one message names; more than a peer has connections. */
export const MAX_PEERS = 512;

const DEVICE = 32;
const PEER_ROW = DEVICE + 8;
const HERE_ROW = PEER_ROW + 1;
const LISTENS = 1;
const LIMITS = { depth: 2, tokens: 32 };
/** Longest text of an IP address. */
const MAX_HOST = 45;

/** A peer that is connected to the sender and has never been dialled by it. */
export interface PeerHere extends PeerRef {
  /** It says that it listens: it may be dialled from elsewhere. */
  readonly listens: boolean;
}

/**
 * `pw_relay`: what a member does for two others that cannot dial each other (PROTOCOL.md). Payloads are bencoded as those of
 * `control-messages.ts`.
 */
export type RelayMessage =
  /** Changes to who is here; and whether the sender relays. */
  | {
      readonly type: 'here';
      readonly added: readonly PeerHere[];
      readonly gone: readonly PeerRef[];
      readonly relays: boolean;
    }
  /** Please ask this peer to dial me. */
  | { readonly type: 'call'; readonly peer: PeerRef }
  /** This peer asks you to dial it: there. */
  | { readonly type: 'called'; readonly peer: PeerRef; readonly host: string; readonly port: number }
  | { readonly type: 'ping'; readonly id: string }
  /** `load`: percent. */
  | { readonly type: 'pong'; readonly id: string; readonly load: number }
  /** Please relay between me and this peer. */
  | { readonly type: 'want'; readonly id: string; readonly peer: PeerRef }
  /** Answers to `want`: come and say this token; or: no. */
  | { readonly type: 'open'; readonly id: string; readonly token: Buffer }
  | { readonly type: 'no'; readonly id: string }
  /** This peer wants you: come and say this token. */
  | { readonly type: 'join'; readonly peer: PeerRef; readonly token: Buffer };

export function encodeRelayMessage(message: RelayMessage): Buffer {
  const t = message.type;
  switch (message.type) {
    case 'here': {
      const added = message.added.map((peer) =>
        Buffer.concat([peerRow(peer), Buffer.from([peer.listens ? LISTENS : 0])]),
      );
      const gone = message.gone.map(peerRow);
      return encode({ t, a: Buffer.concat(added), g: Buffer.concat(gone), r: message.relays ? 1 : 0 });
    }
    case 'call':
      return encode({ t, row: peerRow(message.peer) });
    case 'called':
      return encode({ t, row: peerRow(message.peer), h: message.host, p: message.port });
    case 'ping':
    case 'no':
      return encode({ t, id: Buffer.from(message.id, 'hex') });
    case 'pong':
      return encode({ t, id: Buffer.from(message.id, 'hex'), l: message.load });
    case 'want':
      return encode({ t, id: Buffer.from(message.id, 'hex'), row: peerRow(message.peer) });
    case 'open':
      return encode({ t, id: Buffer.from(message.id, 'hex'), k: message.token });
    case 'join':
      return encode({ t, row: peerRow(message.peer), k: message.token });
  }
}

/** Undefined for types of message that a later version may have. Throws `bad-encoding`. */
export function decodeRelayMessage(payload: Uint8Array): RelayMessage | undefined {
  const dict = dictOf(decode(payload, LIMITS));
  const id = (): string => bytesOf(dict.get('id'), REQUEST_ID_SIZE).toString('hex');
  const peer = (): PeerRef => readPeer(bytesOf(dict.get('row'), PEER_ROW));
  const token = (): Buffer => Buffer.from(bytesOf(dict.get('k'), TOKEN_SIZE));
  const type = textOf(dict.get('t'), 16);
  switch (type) {
    case 'here': {
      const added = rows(bytesOf(dict.get('a')), HERE_ROW).map((row) => ({
        ...readPeer(row.subarray(0, PEER_ROW)),
        listens: ((row[PEER_ROW] ?? 0) & LISTENS) !== 0,
      }));
      const gone = rows(bytesOf(dict.get('g')), PEER_ROW).map(readPeer);
      return { type, added, gone, relays: intOf(dict.get('r'), 0, 1) === 1 };
    }
    case 'call':
      return { type, peer: peer() };
    case 'called':
      return { type, peer: peer(), host: textOf(dict.get('h'), MAX_HOST), port: intOf(dict.get('p'), 1, 65535) };
    case 'ping':
    case 'no':
      return { type, id: id() };
    case 'pong':
      return { type, id: id(), load: intOf(dict.get('l'), 0, 100) };
    case 'want':
      return { type, id: id(), peer: peer() };
    case 'open':
      return { type, id: id(), token: token() };
    case 'join':
      return { type, peer: peer(), token: token() };
    default:
      return undefined;
  }
}

function rows(bytes: Buffer, length: number): Buffer[] {
  if (bytes.length % length !== 0 || bytes.length > MAX_PEERS * length)
    throw new PeerwireError('bad-encoding', 'A list of peers has a wrong length.');
  return Array.from({ length: bytes.length / length }, (_, i) => bytes.subarray(i * length, (i + 1) * length));
}

function peerRow({ device, instance }: PeerRef): Buffer {
  return Buffer.concat([deviceIdBytes(device), Buffer.from(instance, 'hex')]);
}

function readPeer(row: Buffer): PeerRef {
  return {
    device: deviceIdFromHash(row.subarray(0, DEVICE)),
    instance: parsePeerInstance(row.subarray(DEVICE, PEER_ROW).toString('hex')),
  };
}
