/** Peer addresses in the compact form of BEP 7, 11 and 23, and the literal IP addresses in them. */
import { asBuffer } from '../common/as-buffer.ts';
import { PeerwireError } from '../common/errors.ts';

export interface PeerAddress {
  /** A literal IPv4 or IPv6 address, IPv6 as RFC 5952 writes it. */
  readonly host: string;
  readonly port: number;
}

/** Bytes of an address with its port, by family. */
export const COMPACT_SIZE = { 4: 6, 6: 18 } as const;

const PORT_SIZE = 2;

/** 6 bytes for IPv4, 18 for IPv6; undefined when the host is not an IP address or the port not 1–65535. */
export function encodeCompact({ host, port }: PeerAddress): Buffer | undefined {
  const ip = parseIp(host);
  if (!ip || !Number.isInteger(port) || port < 1 || port > 65535) return undefined;
  return Buffer.concat([ip, Buffer.from([port >>> 8, port & 255])]);
}

/** A list of addresses of one family; port 0 is kept for the caller to judge. Throws 'bad-encoding'. */
export function decodeCompact(bytes: Uint8Array, family: 4 | 6): PeerAddress[] {
  const size = COMPACT_SIZE[family];
  const hostSize = size - PORT_SIZE;
  if (bytes.length % size !== 0) {
    throw new PeerwireError('bad-encoding', `Compact IPv${family} addresses take ${size} bytes each.`);
  }
  const view = asBuffer(bytes);
  const addresses: PeerAddress[] = [];
  for (let at = 0; at < view.length; at += size) {
    addresses.push({ host: formatIp(view.subarray(at, at + hostSize)), port: view.readUInt16BE(at + hostSize) });
  }
  return addresses;
}

const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const GROUP = /^[0-9a-f]{1,4}$/i;
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/**
 * 4 or 16 bytes of a literal address; undefined for anything else, zone ids and leading zeros included. An IPv4 address
 * written as IPv6 (`::ffff:a.b.c.d`) is the IPv4 address.
 */
export function parseIp(host: string): Buffer | undefined {
  return host.includes(':') ? parseIpv6(host) : parseIpv4(host);
}

function parseIpv4(host: string): Buffer | undefined {
  const parts = IPV4.exec(host)?.slice(1);
  if (!parts?.every((part) => Number(part) <= 255 && String(Number(part)) === part)) return undefined;
  return Buffer.from(parts.map(Number));
}

function parseIpv6(host: string): Buffer | undefined {
  let text = host;
  const tail = text.slice(text.lastIndexOf(':') + 1);
  if (tail.includes('.')) {
    const ipv4 = parseIpv4(tail);
    if (!ipv4) return undefined;
    const groups = `${ipv4.readUInt16BE(0).toString(16)}:${ipv4.readUInt16BE(2).toString(16)}`;
    text = text.slice(0, text.length - tail.length) + groups;
  }
  const halves = text.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const [head = [], rest] = halves;
  const missing = 8 - head.length - (rest?.length ?? 0);
  if (halves.length > 2 || (rest ? missing < 1 : missing !== 0)) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...(rest ?? [])];
  if (!groups.every((group) => GROUP.test(group))) return undefined;
  const bytes = Buffer.alloc(16);
  for (const [index, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  return bytes.subarray(0, MAPPED.length).equals(MAPPED) ? bytes.subarray(MAPPED.length) : bytes;
}

/** 4 or 16 bytes as text. IPv6 as in RFC 5952; an IPv4 address inside IPv6 as IPv4. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new RangeError(`An IP address is 4 or 16 bytes long, not ${bytes.length}`);
  const view = Buffer.from(bytes);
  if (view.subarray(0, MAPPED.length).equals(MAPPED)) return view.subarray(MAPPED.length).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => view.readUInt16BE(index * 2));
  const { start, length } = longestZeros(groups);
  const text = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  return length < 2 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (const [index, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: index - length + 1, length };
  }
  return best;
}
