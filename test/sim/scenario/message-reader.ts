/**
 * Cuts one direction of a connection into messages, for the judge: independent of the engine's decoder, and without its
 * limits. The first 68 bytes are the handshake.
 */
export class MessageReader {
  readonly #onMessage: (id: number, payload: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #size = 0;
  /** Bytes that must be there before anything can be read. */
  #needed = 68;
  #handshake = true;

  /** `onMessage`: not for keep-alives. The payload, without the id, is valid during the call. */
  constructor(onMessage: (id: number, payload: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  push(bytes: Buffer): void {
    this.#size += bytes.length;
    if (this.#size < this.#needed) {
      // A copy: the memory is not ours.
      this.#parts.push(Buffer.from(bytes));
      return;
    }
    this.#rest = this.#parts.length === 0 ? bytes : Buffer.concat([...this.#parts, bytes]);
    let at = 0;
    for (;;) {
      const end = this.#end(at);
      this.#needed = end - at;
      if (end > this.#rest.length) break;
      if (!this.#handshake && end - at > 4) this.#onMessage(this.#rest[at + 4] ?? 0, this.#rest.subarray(at + 5, end));
      this.#handshake = false;
      at = end;
    }
    this.#parts = at < this.#rest.length ? [Buffer.from(this.#rest.subarray(at))] : [];
    this.#size = this.#rest.length - at;
  }

  #end(at: number): number {
    if (this.#handshake) return at + 68;
    return this.#rest.length - at < 4 ? at + 4 : at + 4 + this.#rest.readUInt32BE(at);
  }
}
