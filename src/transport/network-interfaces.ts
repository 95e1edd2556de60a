import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLinkLocal } from './ip-address.ts';

/** More are not looked at: a machine full of containers has dozens. */
export const MAX_INTERFACES = 32;
/** An IPv6 network has this prefix, also where a host was given its address alone. */
const IPV6_PREFIX = 64;

/** One network interface in one IP family, with an address. */
export interface LanInterface {
  /** As the system calls it: `eth0`, `Wi-Fi`. */
  readonly name: string;
  readonly family: 4 | 6;
  /** All of them, the best to be seen under first. IPv6 without zone. */
  readonly addresses: readonly string[];
  /** Of this machine alone. */
  readonly internal: boolean;
  /** What the system's multicast calls know it by. */
  readonly zone: string;
  /** True for addresses that are reached by it without a router. */
  readonly isOnLink: (address: string) => boolean;
}

/** Interfaces that are up and have a carrier, by family; each family of one is an entry of its own. */
export function lanInterfaces(system: () => ReturnType<typeof networkInterfaces> = networkInterfaces): LanInterface[] {
  const found: LanInterface[] = [];
  for (const [name, all = []] of Object.entries(system())) {
    for (const family of [4, 6] as const) {
      const entries = all.filter((entry) => entry.family === `IPv${family}`);
      const [first] = entries;
      if (first === undefined || found.length >= MAX_INTERFACES) continue;
      const network = new BlockList();
      const type = family === 4 ? 'ipv4' : 'ipv6';
      for (const { address, cidr } of entries) {
        const prefix = Number(cidr?.split('/')[1] ?? (family === 4 ? 32 : 128));
        network.addSubnet(address, family === 4 ? prefix : Math.min(prefix, IPV6_PREFIX), type);
      }
      const addresses = entries.map(({ address }) => address);
      const scope = all.find((entry) => entry.family === 'IPv6' && entry.scopeid !== 0)?.scopeid;
      found.push({
        name,
        family,
        addresses: addresses.sort((a, b) => Number(isLinkLocal(a)) - Number(isLinkLocal(b))),
        internal: first.internal,
        zone: process.platform === 'win32' && scope !== undefined ? String(scope) : name,
        isOnLink: (address) => network.check(address, type),
      });
    }
  }
  return found;
}

/** Tells whether two lists of interfaces name the same interfaces with the same addresses. */
export function fingerprint(interfaces: readonly LanInterface[]): string {
  return interfaces
    .map(({ name, family, addresses }) => `${name} ${family} ${[...addresses].sort().join(' ')}`)
    .sort()
    .join('\n');
}
