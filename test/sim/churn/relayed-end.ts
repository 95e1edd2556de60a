import { PeerwireError } from '../../../src/common/errors.ts';
import { type DeviceId, type PeerInstance, parsePeerInstance } from '../../../src/common/ids.ts';
import type { MemberChannel, PeerRef } from '../../../src/peer/network/channel.ts';
import type { NetworkTrust } from '../../../src/peer/trust/membership.ts';
import type { Identity } from '../../../src/transport/identity.ts';

/** Who speaks behind a relay. */
interface Self {
  readonly identity: Identity;
  readonly instance: PeerInstance;
  readonly trust: NetworkTrust;
}

/**
 * What `secureRelayed` of the transport does with TLS, without the TLS, which no direct connection of this world has
 * either: each end names itself and shows its credentials to the other, in the bytes that the relay passes on. The channel is
 * the same one, which now leads to the peer behind the relay.
 */
export async function meetByRelay(
  role: 'initiator' | 'responder',
  channel: MemberChannel,
  expect: PeerRef,
  self: Self,
): Promise<MemberChannel> {
  const relay = channel.device;
  const hello = readFrame(channel);
  if (role === 'initiator') channel.write([frame(self)]);
  const shown = parse(await hello);
  try {
    if (shown.device !== expect.device || shown.instance !== expect.instance)
      throw new PeerwireError('protocol', 'Somebody else is behind the relay.');
    if (self.trust.isRevoked(shown.device)) throw new PeerwireError('revoked', 'The device was revoked.');
    const { countersignature } = self.trust.admit(shown.device, shown.spki, shown.credentials);
    // Only who speaks first can be told more; the other hears it when next they meet.
    if (role === 'responder') channel.write([frame(self, countersignature)]);
    else if (shown.countersignature) self.trust.acceptCountersignature(shown.countersignature);
  } catch (error) {
    channel.close();
    throw error;
  }
  const { device, instance } = shown;
  return Object.assign(channel, {
    ...{ device, instance, relay, initiator: role === 'initiator' },
    ...{ remoteAddress: 'unknown', remotePort: 0 },
  });
}

interface Hello {
  readonly device: DeviceId;
  readonly instance: PeerInstance;
  readonly spki: Buffer;
  readonly credentials: Buffer;
  readonly countersignature: Buffer | undefined;
}

function frame({ identity, instance, trust }: Self, countersignature?: Uint8Array): Buffer {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const { device, spki } = identity;
  const text = JSON.stringify({
    ...{ device, instance, spki: base64(spki), credentials: base64(trust.credentials()) },
    ...(countersignature && { countersignature: base64(countersignature) }),
  });
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
}

function parse(bytes: Buffer): Hello {
  const { device, instance, spki, credentials, countersignature } = JSON.parse(bytes.toString());
  return {
    ...{ device, instance: parsePeerInstance(instance) },
    ...{ spki: Buffer.from(spki, 'base64'), credentials: Buffer.from(credentials, 'base64') },
    countersignature: countersignature && Buffer.from(countersignature, 'base64'),
  };
}

/** Neither end says more before the other answered: nothing can follow the frame. */
function readFrame(channel: MemberChannel): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    channel.start({
      onData(chunk) {
        received = Buffer.concat([received, chunk]);
        if (received.length < 4 || received.length < 4 + received.readUInt32BE(0)) return;
        resolve(received.subarray(4));
      },
      onDrain() {},
      onClose: (reason) => reject(reason ?? new PeerwireError('connection', 'The relay closed the connection.')),
    });
    channel.resume();
  });
}
