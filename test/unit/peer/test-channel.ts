import type { PeerwireError } from '../../../src/common/errors.ts';
import type { MemberChannel, PeerRef } from '../../../src/peer/network/channel.ts';
import { NETWORK } from './network/support.ts';

/** A channel over which nothing goes: open until it is closed. */
export class TestChannel implements MemberChannel {
  readonly device: MemberChannel['device'];
  readonly instance: MemberChannel['instance'];
  readonly initiator: boolean;
  readonly relay: MemberChannel['relay'];
  readonly network = NETWORK;
  readonly remote = 'b:1';
  readonly remoteAddress = '192.0.2.1';
  readonly remotePort = 1;
  readonly writableLength = 0;
  closed = false;
  reason: PeerwireError | undefined;

  constructor({ device, instance }: PeerRef, initiator: boolean, relay?: PeerRef) {
    this.relay = relay?.device;
    this.device = device;
    this.instance = instance;
    this.initiator = initiator;
  }

  close(reason?: PeerwireError): void {
    this.closed = true;
    this.reason ??= reason;
  }

  start(): void {}
  write(): void {}
  pause(): void {}
  resume(): void {}
}
