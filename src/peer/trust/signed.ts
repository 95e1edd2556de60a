import { type BDict, bytesOf, dictOf, type Encodable, encode, field } from '../../bittorrent/bencode.ts';
import type { NetworkId } from '../../common/ids.ts';
import { SIGNATURE_SIZE, verifySignature } from '../../transport/identity.ts';

/** Exact bytes and a signature of them. Never compare or key by signatures: ECDSA has several for the same bytes. */
export interface Signed {
  readonly body: Buffer;
  /** 64 bytes. */
  readonly signature: Buffer;
}

/** What a signature is for. It is under the signature, so that one cannot stand in for another. */
export type Purpose = 'member' | 'invite' | 'join' | 'countersign' | 'revoke' | 'settings';

export type Sign = (data: Uint8Array) => Buffer;

export function signBody(purpose: Purpose, network: NetworkId, body: Encodable, sign: Sign): Signed {
  const bytes = encode(body);
  return { body: bytes, signature: sign(signedBytes(purpose, network, bytes)) };
}

export function verifySigned(purpose: Purpose, network: NetworkId, signed: Signed, signer: Uint8Array): boolean {
  return verifySignature(signer, signedBytes(purpose, network, signed.body), signed.signature);
}

function signedBytes(purpose: Purpose, network: NetworkId, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`peerwire ${purpose} v1\0`), Buffer.from(network, 'hex'), body]);
}

export function signedToBencode(signed: Signed): { [key: string]: Encodable } {
  return { b: signed.body, s: signed.signature };
}

/** Throws `bad-encoding`. */
export function signedFromBencode(dict: BDict): Signed {
  return { body: bytesOf(field(dict, 'b')), signature: bytesOf(field(dict, 's'), SIGNATURE_SIZE) };
}

/** Throws `bad-encoding`. */
export function signedField(dict: BDict, key: string): Signed | undefined {
  return field(dict, key, (value) => signedFromBencode(dictOf(value)));
}
