import { PeerwireError } from '../common/errors.ts';
import { type PeerInstance, parsePeerInstance } from '../common/ids.ts';
import { PROOF_SIZE, TAG_SIZE } from './proof.ts';

/** The version of the member handshake spoken here. */
export const VERSION = 1;

export const HELLO_I = 1;
export const HELLO_R = 2;
export const CRED = 3;
export const ADMIT = 4;

const INSTANCE_SIZE = 8;
const MAX_VERSIONS = 16;
/** Longest HELLO_I, type included: what a stranger may make us read. */
export const MAX_HELLO_I = 1 + 1 + MAX_VERSIONS + INSTANCE_SIZE + TAG_SIZE + PROOF_SIZE;
/** Length of HELLO_R, type included. */
export const HELLO_R_SIZE = 1 + 1 + INSTANCE_SIZE + PROOF_SIZE;

export interface HelloI {
  /** Versions of the handshake that the initiator speaks, 1 to 16 of them. */
  readonly versions: readonly number[];
  readonly instance: PeerInstance;
  readonly tag: Buffer;
}

export interface HelloR {
  readonly version: number;
  readonly instance: PeerInstance;
}

/** A hello as it arrived: `signed` is what its proof covers, the type included. */
export interface Proven<T> {
  readonly hello: T;
  readonly signed: Buffer;
  readonly proof: Buffer;
}

/** Type and payload without the proof; append the proof and drop the type to get the payload. */
export function helloIToProve(hello: HelloI): Buffer {
  return Buffer.concat([
    Buffer.from([HELLO_I, hello.versions.length, ...hello.versions]),
    Buffer.from(hello.instance, 'hex'),
    hello.tag,
  ]);
}

export function helloRToProve(hello: HelloR): Buffer {
  return Buffer.concat([Buffer.from([HELLO_R, hello.version]), Buffer.from(hello.instance, 'hex')]);
}

/** Throws `protocol`. */
export function decodeHelloI(payload: Buffer): Proven<HelloI> {
  const count = payload[0] ?? 0;
  const fixed = 1 + count;
  if (count < 1 || count > MAX_VERSIONS || payload.length !== fixed + INSTANCE_SIZE + TAG_SIZE + PROOF_SIZE) {
    throw malformed('HELLO_I');
  }
  const tagAt = fixed + INSTANCE_SIZE;
  return {
    hello: {
      versions: [...payload.subarray(1, fixed)],
      instance: parsePeerInstance(payload.toString('hex', fixed, tagAt)),
      tag: payload.subarray(tagAt, tagAt + TAG_SIZE),
    },
    ...provenPart(HELLO_I, payload),
  };
}

/** Throws `protocol`. */
export function decodeHelloR(payload: Buffer): Proven<HelloR> {
  if (payload.length !== HELLO_R_SIZE - 1) throw malformed('HELLO_R');
  return {
    hello: { version: payload[0] ?? 0, instance: parsePeerInstance(payload.toString('hex', 1, 1 + INSTANCE_SIZE)) },
    ...provenPart(HELLO_R, payload),
  };
}

function provenPart(type: number, payload: Buffer): { signed: Buffer; proof: Buffer } {
  const end = payload.length - PROOF_SIZE;
  return { signed: Buffer.concat([Buffer.from([type]), payload.subarray(0, end)]), proof: payload.subarray(end) };
}

const OUTCOMES = ['admitted', 'not-admitted', 'revoked', 'expired'] as const;
/** What ADMIT says: `admitted`, or why not. */
export type Outcome = (typeof OUTCOMES)[number];

export interface Admit {
  readonly outcome: Outcome;
  /** For the one admitted: a signature that confirms its membership. */
  readonly countersignature: Buffer | undefined;
}

export function encodeAdmit(outcome: Outcome, countersignature?: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([OUTCOMES.indexOf(outcome)]), countersignature ?? Buffer.alloc(0)]);
}

/** Throws `protocol`. */
export function decodeAdmit(payload: Buffer): Admit {
  const outcome = OUTCOMES[payload[0] ?? OUTCOMES.length];
  if (outcome === undefined) throw malformed('ADMIT');
  const rest = payload.subarray(1);
  if (outcome !== 'admitted' && rest.length > 0) throw malformed('ADMIT');
  return { outcome, countersignature: rest.length > 0 ? rest : undefined };
}

function malformed(name: string): PeerwireError {
  return new PeerwireError('protocol', `The peer sent a malformed ${name}.`);
}
