import { sha256 } from '../../bittorrent/merkle.ts';
import type { NetworkId } from '../../common/ids.ts';
import { hkdf } from '../../transport/hkdf.ts';

const WEEK = 7 * 24 * 3_600_000;

/**
 * Infohashes (20 bytes) under which members meet at `now` (ms since the epoch). They come from the secret and change
 * every week, so that trackers and eavesdroppers cannot name the network or follow it for long. Of this week and the
 * nearest other one, so that peers whose clocks differ by up to half a week still meet.
 */
export function rendezvousInfoHashes(network: NetworkId, secret: Uint8Array, now: number): Buffer[] {
  const week = Math.floor(now / WEEK);
  const neighbor = now - week * WEEK < WEEK / 2 ? week - 1 : week + 1;
  return [week, neighbor].map((number) =>
    hkdf(secret, Buffer.from(network, 'hex'), `peerwire rendezvous v1 ${number}`, 20),
  );
}

/** The infohash (20 bytes) of a network's control connections; it is only ever sent inside authenticated channels. */
export function controlInfoHash(network: NetworkId): Buffer {
  return sha256(Buffer.concat([Buffer.from('peerwire control'), Buffer.from(network, 'hex')])).subarray(0, 20);
}
