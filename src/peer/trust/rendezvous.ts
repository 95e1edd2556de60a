import { sha256 } from '../../bittorrent/merkle.ts';
import type { NetworkId } from '../../common/ids.ts';
import { hkdf } from '../../transport/hkdf.ts';

const WEEK = 7 * 24 * 3_600_000;

/**
 * Infohashes (20 bytes) under which members meet at trackers at `now` (ms since the epoch). They come from the secret and change
 * every week, so that trackers and eavesdroppers cannot name the network or follow it for long. Of this week and the
 * nearest other one, so that peers whose clocks differ by up to half a week still meet.
 */
export function rendezvousInfoHashes(network: NetworkId, secret: Uint8Array, now: number): Buffer[] {
  return weekly('peerwire rendezvous v1', network, secret, now);
}

/**
 * The same for the local network, where everyone reads what we send: those who listen must not learn what to ask the
 * network's trackers for. Nobody without the secret can tell that the two belong together.
 */
export function lanInfoHashes(network: NetworkId, secret: Uint8Array, now: number): Buffer[] {
  return weekly('peerwire lan v1', network, secret, now);
}

/** `purpose` keeps infohashes apart that are seen in different places. */
function weekly(purpose: string, network: NetworkId, secret: Uint8Array, now: number): Buffer[] {
  const week = Math.floor(now / WEEK);
  const neighbor = now - week * WEEK < WEEK / 2 ? week - 1 : week + 1;
  return [week, neighbor].map((number) => hkdf(secret, Buffer.from(network, 'hex'), `${purpose} ${number}`, 20));
}

/** The infohash (20 bytes) of a network's control connections; it is only ever sent inside authenticated channels. */
export function controlInfoHash(network: NetworkId): Buffer {
  return sha256(Buffer.concat([Buffer.from('peerwire control'), Buffer.from(network, 'hex')])).subarray(0, 20);
}
