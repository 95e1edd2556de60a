import type { Clock } from '../common/clock.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { Connection } from './connection.ts';
import { decodeHandshake, HANDSHAKE_SIZE, type Handshake } from './wire/handshake.ts';

/** An accepted connection whose BitTorrent handshake was read, so that it can be routed by infohash. */
export interface IncomingWire {
  readonly connection: Connection;
  readonly handshake: Handshake;
  /** Bytes that arrived behind the handshake. */
  readonly rest: Buffer;
}

/** Reads the handshake of an accepted connection and leaves it paused. Rejects after `timeout` ms or on a bad handshake. */
export function readHandshake(connection: Connection, clock: Clock, timeout = 10_000): Promise<IncomingWire> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    let settled = false;
    const fail = (error: PeerwireError): void => {
      if (settled) return;
      settled = true;
      timer.dispose();
      connection.close(error);
      reject(error);
    };
    const timer = clock.setTimeout(() => fail(new PeerwireError('timeout', 'No handshake arrived in time.')), timeout);
    connection.start({
      onData(chunk) {
        received = Buffer.concat([received, chunk]);
        if (settled || received.length < HANDSHAKE_SIZE) return;
        try {
          const handshake = decodeHandshake(received.subarray(0, HANDSHAKE_SIZE));
          settled = true;
          timer.dispose();
          connection.pause();
          // A getter: bytes may still arrive between here and the hand-over to a PeerWire.
          resolve({
            connection,
            handshake,
            get rest() {
              return received.subarray(HANDSHAKE_SIZE);
            },
          });
        } catch (error) {
          fail(toPeerwireError(error));
        }
      },
      onDrain() {},
      onClose(reason) {
        fail(reason ?? new PeerwireError('closed', 'The connection closed before its handshake.'));
      },
    });
  });
}
