import { BlockList } from 'node:net';
import { formatIp, parseIp } from '../bittorrent/compact-address.ts';

/**
 * The one way to write an IP address: IPv4 as itself, also where a dual-stack socket or a URL has it mapped into IPv6;
 * without a zone index. Other text stays as it is.
 */
export function plainAddress(address: string): string {
  const bytes = parseIp(address.replace(/%.*$/, ''));
  return bytes ? formatIp(bytes) : address;
}

/**
 * What one stranger can own: an IPv4 address, or an IPv6 /64, which is the least that a provider hands out. Limits per
 * address count these.
 */
export function addressGroup(address: string): string {
  const plain = plainAddress(address);
  const bytes = parseIp(plain);
  return bytes?.length === 16 ? `${bytes.toString('hex', 0, 8)}/64` : plain;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

const linkLocal = new BlockList();
linkLocal.addSubnet('169.254.0.0', 16);
linkLocal.addSubnet('fe80::', 10, 'ipv6');

/** Where clouds answer whoever can reach them, besides link-local: Oracle, Alibaba; AWS and Google over IPv6. */
const metadata = new BlockList();
metadata.addSubnet('192.0.0.0', 24);
metadata.addAddress('100.100.100.200');
metadata.addAddress('fd00:ec2::254', 'ipv6');
metadata.addAddress('fd20:ce::254', 'ipv6');

const privateNetworks = new BlockList();
for (const [network, prefix] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
] as const)
  privateNetworks.addSubnet(network, prefix);
privateNetworks.addSubnet('fc00::', 7, 'ipv6');

const unreachable = new BlockList();
unreachable.addSubnet('0.0.0.0', 8);
unreachable.addSubnet('224.0.0.0', 3);
unreachable.addAddress('::', 'ipv6');
unreachable.addSubnet('ff00::', 8, 'ipv6');

function inside(list: BlockList, address: string): boolean {
  const plain = plainAddress(address);
  const bytes = parseIp(plain);
  return bytes !== undefined && list.check(plain, bytes.length === 4 ? 'ipv4' : 'ipv6');
}

export const isLoopback = (address: string): boolean => inside(loopback, address);
/** IPv4 169.254/16 (cloud metadata services live there too) and IPv6 fe80::/10. */
export const isLinkLocal = (address: string): boolean => inside(linkLocal, address);
export const isMetadataService = (address: string): boolean => inside(metadata, address);
/** Of a network that the internet does not lead to: RFC 1918, RFC 6598, RFC 4193. */
export const isPrivate = (address: string): boolean => inside(privateNetworks, address);
/** Addresses that name no single host: unspecified, multicast, reserved, broadcast. */
export const isUnreachable = (address: string): boolean => inside(unreachable, address);
