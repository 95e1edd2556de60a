import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { DeviceId, PeerInstance } from '../common/ids.ts';
import { encodeFrame, type Frame, FrameReader, MAX_FRAME } from './handshake-frames.ts';
import {
  ADMIT,
  CRED,
  decodeAdmit,
  decodeHelloI,
  decodeHelloR,
  encodeAdmit,
  HELLO_I,
  HELLO_R,
  HELLO_R_SIZE,
  helloIToProve,
  helloRToProve,
  MAX_HELLO_I,
  type Outcome,
  VERSION,
} from './handshake-messages.ts';
import type { Identity } from './identity.ts';
import type { Admission, NetworkAccess } from './network-access.ts';
import { equalSecrets, initiatorProof, networkTag, type ProofContext, responderProof } from './proof.ts';
import { RefusedError } from './refused-error.ts';
import type { ChannelPeer } from './secure-channel.ts';
import { exportedSecret, peerOfTls, type TlsPeer } from './tls-identity.ts';
import type { TlsStream } from './tls-stream.ts';

/** Milliseconds that a refusal may take to leave before the socket is closed all the same. */
const REFUSAL_TIME = 2_000;

/** Who we are in a handshake. */
export interface OwnPeer {
  readonly identity: Identity;
  readonly instance: PeerInstance;
}

/** The one peer that may be at the other end. */
export interface ExpectedPeer {
  readonly device: DeviceId;
  readonly instance: PeerInstance;
}

/**
 * The initiator's half (PROTOCOL.md), after the TLS handshake. The caller sets the deadline, by closing the stream.
 * When it resolves, the stream has no sink and carries channel bytes; when it rejects, the stream is closed (or closes
 * as soon as a refusal has left).
 */
export function initiate<M>(
  stream: TlsStream,
  own: OwnPeer,
  access: NetworkAccess<M>,
  expectDevice?: DeviceId,
  expectInstance?: PeerInstance,
): Promise<ChannelPeer<M>> {
  return closingOnFailure(stream, initiatorHalf(stream, own, access, expectDevice, expectInstance));
}

/**
 * The responder's half; see `initiate`. Sends nothing before the initiator has proved that it knows a network.
 * `expect`: refuse any other peer.
 */
export function respond<M>(
  stream: TlsStream,
  own: OwnPeer,
  networks: readonly NetworkAccess<M>[],
  expect?: ExpectedPeer,
): Promise<ChannelPeer<M>> {
  return closingOnFailure(stream, responderHalf(stream, own, networks, expect));
}

async function closingOnFailure<T>(stream: TlsStream, half: Promise<T>): Promise<T> {
  try {
    return await half;
  } catch (error) {
    if (!stream.closing) stream.close(toPeerwireError(error));
    throw error;
  }
}

async function initiatorHalf<M>(
  stream: TlsStream,
  own: OwnPeer,
  access: NetworkAccess<M>,
  expectDevice: DeviceId | undefined,
  expectInstance: PeerInstance | undefined,
): Promise<ChannelPeer<M>> {
  const peer = peerOfTls(stream.socket);
  // 5. The pin, before we show anything. Two windows of one device must meet, so that it is not ourselves is seen from
  // the peer instance, in `checkNotSelf`, under the proof.
  if (expectDevice !== undefined && peer.device !== expectDevice) {
    throw otherPeer();
  }
  const context = proofContext(stream, access, own.identity.device, peer.device);
  const frames = new FrameReader(stream);

  const tag = networkTag(access.network, access.secret, context.exported);
  const helloI = helloIToProve({ versions: [VERSION], instance: own.instance, tag });
  send(stream, HELLO_I, helloI.subarray(1), initiatorProof(context, helloI));

  // 6. That TLS calls the connection secure does not mean that we were accepted: the responder's proof does.
  const { hello, signed, proof } = decodeHelloR(expectType(HELLO_R, await frames.read(HELLO_R_SIZE)));
  if (!equalSecrets(proof, responderProof(context, helloI, signed))) throw notThisNetwork();
  if (hello.version !== VERSION) throw otherVersion();
  checkNotSelf(own, peer, hello.instance);
  if (expectInstance !== undefined && hello.instance !== expectInstance) throw otherPeer();
  if (access.isRevoked(peer.device)) throw refuse(stream, revokedError());

  // The responder speaks first of its membership only after it has judged ours.
  send(stream, CRED, access.credentials());
  const admit = expectAdmitted(await frames.read());
  const admission = await admitOrRefuse(stream, access, peer, expectType(CRED, await frames.read()));
  send(stream, ADMIT, encodeAdmit('admitted', admission.countersignature));
  if (admit.countersignature) access.acceptCountersignature(admit.countersignature);
  return channelPeer(peer, hello.instance, access, true, admission);
}

async function responderHalf<M>(
  stream: TlsStream,
  own: OwnPeer,
  networks: readonly NetworkAccess<M>[],
  expect: ExpectedPeer | undefined,
): Promise<ChannelPeer<M>> {
  const peer = peerOfTls(stream.socket);
  if (expect && peer.device !== expect.device) throw otherPeer();
  const frames = new FrameReader(stream);
  const exported = exportedSecret(stream.socket);

  const { hello, signed, proof } = decodeHelloI(expectType(HELLO_I, await frames.read(MAX_HELLO_I)));
  const access = networks.find(({ network, secret }) => equalSecrets(hello.tag, networkTag(network, secret, exported)));
  if (!access) throw notThisNetwork();
  const context = proofContext(stream, access, peer.device, own.identity.device);
  if (!equalSecrets(proof, initiatorProof(context, signed))) throw notThisNetwork();
  if (!hello.versions.includes(VERSION)) throw otherVersion();
  if (expect && hello.instance !== expect.instance) throw otherPeer();

  const helloR = helloRToProve({ version: VERSION, instance: own.instance });
  send(stream, HELLO_R, helloR.subarray(1), responderProof(context, signed, helloR));
  // After HELLO_R, so that the half of us that dialed can tell what it reached.
  checkNotSelf(own, peer, hello.instance);
  // One who was evicted still knows the secret. It learns that it was, and not a byte of our membership.
  if (access.isRevoked(peer.device)) throw refuse(stream, revokedError());

  const admission = await admitOrRefuse(stream, access, peer, credentialsOf(await frames.read()));
  send(stream, ADMIT, encodeAdmit('admitted', admission.countersignature));
  send(stream, CRED, access.credentials());
  const admit = expectAdmitted(await frames.read());
  if (admit.countersignature) access.acceptCountersignature(admit.countersignature);
  return channelPeer(peer, hello.instance, access, false, admission);
}

function proofContext<M>(
  stream: TlsStream,
  access: NetworkAccess<M>,
  initiator: DeviceId,
  responder: DeviceId,
): ProofContext {
  const { network, secret } = access;
  return { network, secret, exported: exportedSecret(stream.socket), initiator, responder };
}

function channelPeer<M>(
  peer: TlsPeer,
  instance: PeerInstance,
  access: NetworkAccess<M>,
  initiator: boolean,
  admission: Admission<M>,
): ChannelPeer<M> {
  const { device, spki } = peer;
  return { device, spki, instance, network: access.network, initiator, member: admission.member };
}

async function admitOrRefuse<M>(
  stream: TlsStream,
  access: NetworkAccess<M>,
  peer: TlsPeer,
  credentials: Buffer,
): Promise<Admission<M>> {
  let admission: Admission<M>;
  try {
    admission = await access.admit(peer.device, peer.spki, credentials);
  } catch (error) {
    throw refuse(stream, error);
  }
  // `admit` may have taken its time.
  if (access.isRevoked(peer.device)) throw refuse(stream, revokedError());
  return admission;
}

/** Tells the other side why, closes, and returns what to throw. */
function refuse(stream: TlsStream, error: unknown): PeerwireError {
  const outcome = outcomeOf(error);
  send(stream, ADMIT, encodeAdmit(outcome));
  stream.closeWhenSent(REFUSAL_TIME);
  if (error instanceof PeerwireError && error.code === outcome) return error;
  return new PeerwireError('not-admitted', 'The peer could not prove that it is a member.', { cause: error });
}

function outcomeOf(error: unknown): Exclude<Outcome, 'admitted'> {
  const code = error instanceof PeerwireError ? error.code : undefined;
  return code === 'revoked' || code === 'expired' ? code : 'not-admitted';
}

function expectAdmitted(frame: Frame): { countersignature: Buffer | undefined } {
  const admit = decodeAdmit(expectType(ADMIT, frame));
  switch (admit.outcome) {
    case 'admitted':
      return admit;
    case 'revoked':
      throw new RefusedError('revoked', 'The peer refuses this device: it was removed from the network.');
    case 'expired':
      throw new RefusedError('expired', 'The peer refuses this device: its invite expired before any member met it.');
    case 'not-admitted':
      throw new RefusedError('not-admitted', 'The peer does not recognize this device as a member of the network.');
  }
}

/** The initiator may refuse us (by ADMIT) instead of showing its membership. */
function credentialsOf(frame: Frame): Buffer {
  if (frame.type === ADMIT) expectAdmitted(frame);
  return expectType(CRED, frame);
}

function expectType(type: number, frame: Frame): Buffer {
  if (frame.type !== type) throw new PeerwireError('protocol', 'The peer sent another handshake message than was due.');
  return frame.payload;
}

/** Instances are chosen at random and are under the proof, so that an echo of ourselves cannot hide. */
function checkNotSelf(own: OwnPeer, peer: TlsPeer, instance: PeerInstance): void {
  if (peer.device === own.identity.device && instance === own.instance) {
    throw new PeerwireError('exists', 'This address is our own.');
  }
}

function send(stream: TlsStream, type: number, ...payload: Uint8Array[]): void {
  stream.write([encodeFrame(type, Buffer.concat(payload))]);
}

const otherPeer = (): PeerwireError => new PeerwireError('protocol', 'Another device than the expected one answered.');
const notThisNetwork = (): PeerwireError =>
  new PeerwireError('protocol', 'The peer could not prove that it belongs to this network.');
const otherVersion = (): PeerwireError =>
  new PeerwireError('protocol', 'The peer speaks another version of Peerwire; update both.');
const revokedError = (): PeerwireError => new PeerwireError('revoked', 'The peer was removed from the network.');

/** Longest credentials, and longest countersignature: a frame without its type and outcome. */
export const MAX_CREDENTIALS = MAX_FRAME - 2;
