import type { Message } from './messages.ts';

export interface WireSink {
  onMessage(message: Message): void;
  /** Where to copy the block's bytes (at least `length` long); undefined drops them. */
  onBlockStart(piece: number, begin: number, length: number): Uint8Array | undefined;
  onBlockEnd(piece: number, begin: number, length: number): void;
}
export class WireDecoder {
  constructor(sink: WireSink, limits?: { readonly message?: number; readonly block?: number }) {
    void sink;
    void limits;
  }
  /** Throws 'protocol'. The chunk's memory is not kept. */
  push(chunk: Uint8Array): void {
    void chunk;
    throw new Error('not written yet');
  }
  /** Ignores everything from here on, also the rest of a chunk being pushed. */
  stop(): void {}
}
