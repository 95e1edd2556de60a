import { readHandshake } from '../../../../src/bittorrent/incoming-wire.ts';
import type { MemberChannel } from '../../../../src/peer/network/channel.ts';
import { ControlPeer, type ControlPeerHandler } from '../../../../src/peer/network/control-peer.ts';
import { type MemoryConnection, memoryPair } from '../../../sim/memory-connection.ts';
import type { VirtualClock } from '../../../sim/virtual-clock.ts';
import { advance, NETWORK, type TestPeer } from './support.ts';

export const CONTROL = Buffer.alloc(20, 9);

export type TestEnd = MemoryConnection & MemberChannel;

/** One end of a control connection. */
export interface ControlEnd {
  readonly peer: TestPeer;
  /** What the device calls itself. */
  readonly name: string;
  /** IP address, as the other end sees it. */
  readonly host: string;
  readonly listenPort: number | undefined;
  readonly handler?: Partial<ControlPeerHandler>;
}

export const DEAF: ControlPeerHandler = {
  onReady() {},
  onCatalogue() {},
  onMembership() {},
  onPex() {},
  onConnect() {},
  onRelay() {},
  onUpdate() {},
  onWritable() {},
  onClose() {},
};

/** Two ends of a connection in memory, of which the first dialed the second. */
export function channelPair(
  clock: VirtualClock,
  from: Pick<ControlEnd, 'peer' | 'host'>,
  to: Pick<ControlEnd, 'peer' | 'host'>,
): [TestEnd, TestEnd] {
  const [a, b] = memoryPair(clock, { latency: 5, rate: 0 }, () => 0.3);
  const network = NETWORK;
  const [{ device, instance }, other] = [from.peer, to.peer];
  return [
    Object.assign(a, {
      ...{ device: other.device, instance: other.instance, network, initiator: true },
      ...{ remoteAddress: to.host, remotePort: 6881 },
    }),
    Object.assign(b, {
      ...{ device, instance, network, initiator: false },
      ...{ remoteAddress: from.host, remotePort: 50_000 },
    }),
  ];
}

/** `from` dials `to`, at `dialed`; both ends, ready, and their channels. */
export async function controlPair(
  clock: VirtualClock,
  from: ControlEnd,
  to: ControlEnd,
  dialed = `${to.host}:6881`,
): Promise<{ one: ControlPeer; two: ControlPeer; a: TestEnd; b: TestEnd }> {
  const [a, b] = channelPair(clock, from, to);
  const one = ControlPeer.initiate(a, { ...optionsOf(clock, from), dialed }, { ...DEAF, ...from.handler });
  const [incoming] = await Promise.all([readHandshake(b, clock), advance(clock, 20)]);
  const two = ControlPeer.accept(b, incoming, optionsOf(clock, to), { ...DEAF, ...to.handler });
  await advance(clock, 50);
  return { one, two, a, b };
}

export function optionsOf(clock: VirtualClock, { name, listenPort }: Pick<ControlEnd, 'name' | 'listenPort'>) {
  return {
    peerId: Buffer.alloc(20, 1),
    controlInfoHash: CONTROL,
    version: '1.2.3',
    deviceName: name,
    listenPort,
    clock,
  };
}
