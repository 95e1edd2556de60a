import { BlockList, isIP, isIPv4 } from 'node:net';

/** IPv4 as itself, also where a dual-stack socket reports it mapped into IPv6; without a zone index. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped ?? address.replace(/%.*$/, '');
}

/**
 * What one stranger can own: an IPv4 address, or an IPv6 /64, which is the least that a provider hands out. Limits per
 * address count these.
 */
export function addressGroup(address: string): string {
  const plain = plainAddress(address);
  if (isIP(plain) !== 6) return plain;
  const [head = '', tail] = plain.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  const groups = [...front, ...zeros, ...back].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

const linkLocal = new BlockList();
linkLocal.addSubnet('169.254.0.0', 16);
linkLocal.addSubnet('fe80::', 10, 'ipv6');

const unreachable = new BlockList();
unreachable.addSubnet('0.0.0.0', 8);
unreachable.addSubnet('224.0.0.0', 3);
unreachable.addAddress('::', 'ipv6');
unreachable.addSubnet('ff00::', 8, 'ipv6');

const inside = (list: BlockList, address: string): boolean => {
  const plain = plainAddress(address);
  const family = isIP(plain);
  return family !== 0 && list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6');
};

export const isLoopback = (address: string): boolean => inside(loopback, address);
/** IPv4 169.254/16 (cloud metadata services live there too) and IPv6 fe80::/10. */
export const isLinkLocal = (address: string): boolean => inside(linkLocal, address);
/** Addresses that name no single host: unspecified, multicast, reserved, broadcast. */
export const isUnreachable = (address: string): boolean => inside(unreachable, address);
