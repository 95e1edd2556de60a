import type { NetworkInterfaceInfo } from 'node:os';

/** Bridges and tunnels of containers and virtual machines: others do not reach us there. */
const VIRTUAL = /^(docker|br-|veth|virbr|vmnet|vboxnet|vethernet|lo)/i;

/** The IPv4 address under which machines on the same network most likely reach this one; loopback when there is none. */
export function lanAddress(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): string {
  const candidates = Object.entries(interfaces)
    .flatMap(([name, addresses]) => (addresses ?? []).map((address) => ({ name, ...address })))
    .filter(({ family, internal, address }) => family === 'IPv4' && !internal && !address.startsWith('169.254.'));
  const best = candidates.find(({ name }) => !VIRTUAL.test(name)) ?? candidates[0];
  return best?.address ?? '127.0.0.1';
}
