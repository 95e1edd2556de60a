import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** Seconds for which a connection id is accepted (BEP 15: two minutes). */
export const CONNECTION_ID_LIFETIME = 120;

const STAMP = 2;
const MAC = 6;

/**
 * Connection ids of BEP 15 without memory for each client: 2 bytes of time and 6 bytes of a keyed hash over the full
 * time and the client's address. Whoever shows one has received our reply at that address within two minutes.
 */
export class ConnectionIds {
  readonly #key = randomBytes(32);
  readonly #message = Buffer.alloc(4 + 16);

  /** Writes an id of 8 bytes. `now`: whole seconds of a clock that never goes back. */
  issue(address: Uint8Array, now: number, target: Buffer, at: number): void {
    target.writeUInt16BE(now & 0xffff, at);
    this.#mac(address, now).copy(target, at + STAMP, 0, MAC);
  }

  check(address: Uint8Array, now: number, packet: Buffer, at: number): boolean {
    // The difference modulo 2^16: an id "from the future" looks very old. The hash covers all bits of the time, so an
    // id does not come to life again when the 16 bits come round.
    const age = (now - packet.readUInt16BE(at)) & 0xffff;
    if (age > CONNECTION_ID_LIFETIME || age > now) return false;
    const mac = this.#mac(address, now - age).subarray(0, MAC);
    return timingSafeEqual(mac, packet.subarray(at + STAMP, at + STAMP + MAC));
  }

  #mac(address: Uint8Array, time: number): Buffer {
    this.#message.writeUInt32BE(time >>> 0, 0);
    this.#message.set(address, 4);
    const message = this.#message.subarray(0, 4 + address.length);
    return createHmac('sha256', this.#key).update(message).digest();
  }
}
