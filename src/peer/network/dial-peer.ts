import { withTimeLimit } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import { PeerwireError } from '../../common/errors.ts';
import { parseHostPort } from './addresses.ts';
import type { MemberChannel, PeerRef } from './channel.ts';
import type { DialTarget } from './dialer.ts';

export interface PeerDial {
  readonly clock: Clock;
  readonly dial: (target: DialTarget) => Promise<MemberChannel>;
  readonly peer: PeerRef;
  /** `host:port`. */
  readonly address: string;
  /** Milliseconds. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** A channel to this very peer. Rejects with `connection` when another window of its device answers, and as `dial` does. */
export async function dialPeer({ clock, dial, peer, address, limit, signal }: PeerDial): Promise<MemberChannel> {
  const channel = await withTimeLimit({ clock, limit, signal }, (either) =>
    dial({ ...parseHostPort(address), expectDevice: peer.device, signal: either }),
  );
  if (channel.instance === peer.instance && !signal.aborted) return channel;
  channel.close();
  throw new PeerwireError('connection', 'Another peer of the device answered.');
}
