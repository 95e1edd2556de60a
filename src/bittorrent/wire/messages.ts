import type { HashRequest } from '../merkle.ts';

export interface BlockRequest {
  readonly piece: number;
  readonly begin: number;
  readonly length: number;
}
export type Message =
  | { readonly type: 'keep-alive' | 'choke' | 'unchoke' | 'interested' | 'not-interested' | 'have-all' | 'have-none' }
  | { readonly type: 'have' | 'suggest' | 'allowed-fast'; readonly piece: number }
  | { readonly type: 'bitfield'; readonly bits: Buffer }
  | ({ readonly type: 'request' | 'cancel' | 'reject' } & BlockRequest)
  | ({ readonly type: 'hash-request' | 'hash-reject' } & HashRequest)
  | ({ readonly type: 'hashes'; readonly hashes: Buffer } & HashRequest)
  | { readonly type: 'extended'; readonly id: number; readonly payload: Buffer };
const later = (): never => {
  throw new Error('not written yet');
};
export const encodeMessage: (message: Message) => Buffer = later;
export const encodeBlockHeader: (piece: number, begin: number, length: number) => Buffer = later;
