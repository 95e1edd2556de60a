import { formatIp, type PeerAddress, parseIp } from '../../bittorrent/compact-address.ts';
import { PeerwireError } from '../../common/errors.ts';
import { isMetadataService } from '../../transport/ip-address.ts';

/** How an address came to us, which decides how far it is trusted. */
export type AddressOrigin =
  /** Typed in by the user. */
  | 'manual'
  /** Multicast on this LAN. */
  | 'lan'
  /** Where a connected member is (its address as we see it, its own word on the port), or was when we last met. */
  | 'member'
  /** Told by a connected member. */
  | 'pex'
  /** Told by a tracker, which anyone may feed. */
  | 'tracker';

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_-]{1,63})*\.?$/i;

/** Reads `host:port`; an IPv6 host stands in brackets. Throws `usage`. */
export function parseHostPort(text: string): PeerAddress {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/i.exec(text.trim());
  const host = normalizeHost(match?.[1] ?? match?.[2] ?? '');
  const port = Number(match?.[3]);
  if (
    match === null ||
    (match[1] !== undefined && parseIp(host) === undefined) ||
    !HOST_NAME.test(host.replaceAll(':', ''))
  ) {
    throw new PeerwireError('usage', `“${text}” is not an address: expected host:port.`);
  }
  if (!(port >= 1 && port <= 65535)) throw new PeerwireError('usage', `“${text}” has no usable port.`);
  return { host, port };
}

export function formatHostPort(address: PeerAddress): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** One spelling for each address: IPv4-mapped IPv6 becomes IPv4, IPv6 its shortest form, zones are dropped, names lower case. */
export function normalizeHost(host: string): string {
  const ip = parseIp(host.split('%', 1)[0] ?? '');
  if (ip === undefined) return host.toLowerCase();
  return formatIp(isMapped(ip) ? ip.subarray(12) : ip);
}

export function isLoopbackHost(host: string): boolean {
  if (host === 'localhost') return true;
  const ip = parseIp(normalizeHost(host));
  if (ip === undefined) return false;
  return ip.length === 4 ? ip[0] === 127 : isLastByte(ip, 1);
}

/**
 * True when we may dial an address that `origin` gave us. A tracker or a peer must not steer us to what it cannot
 * reach itself (server-side request forgery): loopback counts only from a loopback informant, link-local (the home of
 * cloud metadata services) never, and names would have us ask a resolver of the informant's choice.
 *
 * @param informant host of the tracker or peer that told us
 */
export function mayDial(address: PeerAddress, origin: AddressOrigin, informant?: string): boolean {
  if (!Number.isInteger(address.port) || address.port < 1 || address.port > 65535) return false;
  const ip = parseIp(address.host);
  if (ip === undefined) return origin === 'manual' && HOST_NAME.test(address.host);
  const bytes = isMapped(ip) ? ip.subarray(12) : ip;
  if (!isUnicast(bytes)) return false;
  if (origin === 'manual' || origin === 'member') return true;
  if (isLoopbackHost(address.host)) return origin === 'lan' || (informant !== undefined && isLoopbackHost(informant));
  return !isMetadataService(address.host) && (origin === 'lan' || !isLinkLocal(bytes));
}

function isUnicast(ip: Buffer): boolean {
  const first = ip[0] ?? 0;
  // 0/8 “this network”; 224/4 multicast; 240/4 reserved, with broadcast. IPv6: `::` and ff00::/8.
  if (ip.length === 4) return first !== 0 && first < 224;
  return first !== 0xff && !isLastByte(ip, 0);
}

function isLinkLocal(ip: Buffer): boolean {
  if (ip.length === 4) return ip[0] === 169 && ip[1] === 254;
  return ip[0] === 0xfe && ((ip[1] ?? 0) & 0xc0) === 0x80;
}

function isMapped(ip: Buffer): boolean {
  return ip.length === 16 && ip.subarray(0, 10).every((byte) => byte === 0) && ip[10] === 0xff && ip[11] === 0xff;
}

function isLastByte(ip: Buffer, last: number): boolean {
  return ip[15] === last && ip.subarray(0, 15).every((byte) => byte === 0);
}
