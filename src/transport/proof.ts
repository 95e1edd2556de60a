import { timingSafeEqual } from 'node:crypto';
import { sha256 } from '../bittorrent/merkle.ts';
import { type DeviceId, deviceIdBytes, type NetworkId } from '../common/ids.ts';
import { hkdf, hmac } from './hkdf.ts';

export const TAG_SIZE = 16;
export const PROOF_SIZE = 32;

/** What both ends of one handshake must agree on, byte for byte. */
export interface ProofContext {
  readonly network: NetworkId;
  /** 32 bytes. */
  readonly secret: Uint8Array;
  /** 32 bytes that only the two ends of this TLS session know: fresh, so it takes the place of nonces. */
  readonly exported: Uint8Array;
  /** The exporter of TLS 1.3 does not cover the client's certificate (RFC 8446 §7.5): both ids are in the proof. */
  readonly initiator: DeviceId;
  readonly responder: DeviceId;
}

/** Tells the responder which of its networks is meant; means nothing to others and never repeats. */
export function networkTag(network: NetworkId, secret: Uint8Array, exported: Uint8Array): Buffer {
  return hmac(derive(network, secret, 'peerwire tag v1'), exported).subarray(0, TAG_SIZE);
}

/** `helloI`: type and payload of HELLO_I without its proof. */
export function initiatorProof(context: ProofContext, helloI: Uint8Array): Buffer {
  return proof(context, 'I', [helloI]);
}

/** `helloR`: type and payload of HELLO_R without its proof. */
export function responderProof(context: ProofContext, helloI: Uint8Array, helloR: Uint8Array): Buffer {
  return proof(context, 'R', [helloI, helloR]);
}

function proof(context: ProofContext, role: 'I' | 'R', hellos: readonly Uint8Array[]): Buffer {
  const parts = [
    // The role keeps a proof from being sent back to the one who made it.
    Buffer.from(`peerwire auth v1 ${role}`),
    context.exported,
    deviceIdBytes(context.initiator),
    deviceIdBytes(context.responder),
    Buffer.from(context.network, 'hex'),
    ...hellos.map((hello) => sha256(hello)),
  ];
  return hmac(derive(context.network, context.secret, 'peerwire auth v1'), ...parts.map(lengthPrefixed));
}

function derive(network: NetworkId, secret: Uint8Array, info: string): Buffer {
  return hkdf(secret, Buffer.from(network, 'hex'), info, 32);
}

/** Lengths in front of all parts: no two lists of parts look the same when joined. */
function lengthPrefixed(part: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(part.length);
  return Buffer.concat([length, part]);
}

/** In constant time for equal lengths; the length itself is no secret. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
