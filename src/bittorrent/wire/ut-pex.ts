import type { PeerAddress } from '../compact-address.ts';

export const MAX_PEX_PEERS = 50;
export interface PexPeer extends PeerAddress {
  readonly flags: number;
}
export interface PexMessage {
  readonly added: readonly PexPeer[];
  readonly dropped: readonly PeerAddress[];
}
const later = (): never => {
  throw new Error('not written yet');
};
export const encodePex: (message: PexMessage) => Buffer = later;
export const decodePex: (payload: Uint8Array) => PexMessage = later;
