import assert from 'node:assert/strict';
import type { NetworkInterfaceInfo } from 'node:os';
import { fingerprint, lanInterfaces, MAX_INTERFACES } from '../../../src/transport/network-interfaces.ts';

const mac = '00:00:00:00:00:00';

function v4(address: string, bits: number): NetworkInterfaceInfo {
  return { family: 'IPv4', address, netmask: '', mac, internal: false, cidr: `${address}/${bits}` };
}
function v6(address: string, bits: number, scopeid = 0): NetworkInterfaceInfo {
  return { family: 'IPv6', address, netmask: '', mac, internal: false, cidr: `${address}/${bits}`, scopeid };
}

describe('network interfaces', () => {
  const [ipv4, ipv6] = lanInterfaces(() => ({
    eth0: [v6('fe80::1', 64, 7), v4('10.1.2.3', 24), v6('2001:db8::5', 128), v4('192.168.0.9', 16)],
  }));

  it('are listed by family, addresses that others can use first', () => {
    assert.deepEqual(
      [ipv4, ipv6].map((entry) => [entry?.name, entry?.family, entry?.addresses]),
      [
        ['eth0', 4, ['10.1.2.3', '192.168.0.9']],
        ['eth0', 6, ['2001:db8::5', 'fe80::1']],
      ],
    );
  });

  for (const [address, expected] of [
    ['10.1.2.200', true],
    ['192.168.77.1', true],
    ['10.1.3.1', false],
    ['169.254.169.254', false],
    ['127.0.0.1', false],
    ['8.8.8.8', false],
  ] as const)
    it(`${expected ? 'reach' : 'do not reach'} ${address} without a router`, () =>
      assert.equal(ipv4?.isOnLink(address), expected));
  for (const [address, expected] of [
    ['fe80::99', true],
    ['2001:db8::99', true], // DHCPv6 hands out addresses without their network.
    ['2001:db8:1::99', false],
    ['::1', false],
  ] as const)
    it(`${expected ? 'reach' : 'do not reach'} ${address} without a router`, () =>
      assert.equal(ipv6?.isOnLink(address), expected));

  it('are no more than a few dozen', () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`veth${index}`, [v4('10.0.0.1', 8)]]));
    assert.equal(lanInterfaces(() => many).length, MAX_INTERFACES);
  });

  it('are the same in whatever order the system names them', () => {
    const [one, two] = [{ a: [v4('10.0.0.1', 8)] }, { b: [v4('10.0.0.2', 8), v4('10.0.0.3', 8)] }];
    const print = (all: NodeJS.Dict<NetworkInterfaceInfo[]>): string => fingerprint(lanInterfaces(() => all));
    assert.equal(print({ ...one, ...two }), print({ ...two, ...one }));
    assert.notEqual(print(one), print(two));
  });
});
