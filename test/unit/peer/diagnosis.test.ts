import assert from 'node:assert/strict';
import { PeerwireError } from '../../../src/common/errors.ts';
import type { DiagnosisLine } from '../../../src/peer/api.ts';
import {
  diagnose as diagnoseFindings,
  type Findings,
  type NetworkDiagnosis,
} from '../../../src/peer/diagnosis/diagnose.ts';
import { droppingChain, type Firewall, findFirewall } from '../../../src/peer/diagnosis/firewall.ts';
import type { DialBackOutcome } from '../../../src/peer/network/control-messages.ts';
import type { TrackerStatus } from '../../../src/peer/network/tracker-announcer.ts';
import type { LanInterface } from '../../../src/transport/network-interfaces.ts';

const MAC = '/usr/libexec/ApplicationFirewall/socketfilterfw';

function tracker(ok: boolean | undefined, problem?: string): TrackerStatus {
  return { url: 'http://tracker.example/announce', ok, ...(problem === undefined ? {} : { problem }) };
}

function network(fields: Partial<NetworkDiagnosis>): NetworkDiagnosis {
  return { name: 'team', peers: 2, refusal: undefined, trackers: [tracker(true)], ...fields };
}

const LAN: LanInterface = {
  ...{ name: 'eth0', family: 4, addresses: ['10.0.0.5'], internal: false, zone: 'eth0', isOnLink: () => true },
};

function diagnoseAll(findings: Partial<Findings>): DiagnosisLine[] {
  return diagnoseFindings({
    ...{ port: 6881, networks: [network({})], interfaces: [LAN], multicast: [], dialBacks: [] },
    ...{ firewall: undefined, place: undefined, portMapping: undefined, ...findings },
  });
}

function diagnose(port: number | undefined, networks: readonly NetworkDiagnosis[]): DiagnosisLine[] {
  return diagnoseAll({ port, networks });
}

describe('diagnosis', () => {
  it('finds nothing where everything works', () => {
    const lines = diagnose(6881, [network({})]);
    assert.deepEqual(
      lines.map(({ check, ok, fix }) => [check, ok, fix]),
      [
        ['addresses', true, undefined],
        ['listening', true, undefined],
        ['tracker of team', true, undefined],
        ['peers of team', true, undefined],
      ],
    );
    assert.match(lines[0]!.detail, /eth0: 10\.0\.0\.5/);
    assert.match(lines[1]!.detail, /6881/);
  });

  it('tells what leads to the LAN from VPNs and from networks inside of this machine', () => {
    const kinds = (name: string): string | undefined =>
      / \((\w+)\): /.exec(diagnoseAll({ interfaces: [{ ...LAN, name }] })[0]!.detail)?.[1];
    const of = (...names: string[]): (string | undefined)[] => names.map(kinds);
    assert.deepEqual(
      new Set(of('eth0', 'wlp3s0', 'en0', 'Ethernet 2', 'Wi-Fi', 'enp2s0', 'br0')),
      new Set([undefined]),
    );
    assert.deepEqual(new Set(of('wg0', 'tun0', 'utun4', 'tailscale0', 'ppp0', 'Company VPN')), new Set(['VPN']));
    const inside = of(
      'docker0',
      'br-1f2e3d4c5b6a',
      'veth12ab',
      'virbr0',
      'vEthernet (WSL)',
      'VMware Network Adapter VMnet8',
    );
    assert.deepEqual(new Set(inside), new Set(['virtual']));
  });

  it('says what to do about a tracker once, by what is wrong with it', () => {
    const found = (problem: string, remedy: string) =>
      diagnose(6881, [network({ trackers: [{ ...tracker(false, problem), remedy }] })]).find(
        ({ check }) => check === 'tracker of team',
      );
    const failed = found('t.example: gone. See whether it runs.', 'See whether it runs.');
    assert.deepEqual([failed?.detail, failed?.fix], ['t.example: gone.', 'See whether it runs.']);
    const refused = found('t.example: no.', 'Ask them.');
    assert.deepEqual([refused?.detail, refused?.fix], ['t.example: no.', 'Ask them.']);
  });

  it('passes on what a tracker that answers warns of', () => {
    const line = diagnose(6881, [network({ trackers: [tracker(true, 'tracker.example: Moving soon.')] })]).find(
      ({ check }) => check === 'tracker of team',
    );
    assert.equal(line?.ok, true);
    assert.match(String(line?.detail), /^Announced at .* tracker\.example: Moving soon\.$/);
  });

  it('says which trackers answered how fast, and which did not', () => {
    const trackers = [{ ...tracker(true), delay: 12.4 }, tracker(false, 'other.example: gone')];
    const line = diagnose(6881, [network({ trackers })]).find(({ check }) => check === 'tracker of team');
    assert.deepEqual(
      [line?.ok, line?.detail],
      [true, 'Announced at http://tracker.example/announce (12 ms). other.example: gone'],
    );
  });

  const clockOf = (...ahead: number[]): DiagnosisLine | undefined =>
    diagnose(6881, [network({ trackers: ahead.map((ms) => ({ ...tracker(true), ahead: ms })) })]).find(
      ({ check }) => check === 'clock',
    );

  it('warns of a clock that every tracker contradicts', () => {
    const minute = 60_000;
    assert.equal(clockOf(), undefined);
    assert.equal(clockOf(5 * minute)?.ok, true);
    assert.equal(clockOf(9 * minute, -minute)?.ok, true);
    for (const [ahead, words] of [
      [7 * minute, /7 minutes behind that of http:\/\/tracker\.example/],
      [-90 * minute, /90 minutes ahead of that of/],
    ] as const) {
      const line = clockOf(ahead);
      assert.equal(line?.ok, false);
      assert.match(line.detail, words);
      assert.ok(line.fix);
    }
  });

  const down = tracker(false, 'No tracker answers.');
  const troubles: [string, number | undefined, NetworkDiagnosis[], string[]][] = [
    ['no port', undefined, [network({})], ['listening']],
    ['no network', 6881, [], ['network']],
    ['no tracker, and nobody there', 6881, [network({ peers: 0, trackers: [] })], ['tracker of team', 'peers of team']],
    ['a tracker that has not answered yet', 6881, [network({ trackers: [tracker(undefined)] })], ['tracker of team']],
    [
      'a tracker that does not answer, and nobody there',
      6881,
      [network({ peers: 0, trackers: [tracker(undefined), down] }), network({ name: 'other' })],
      ['tracker of team', 'peers of team'],
    ],
    [
      'a membership that ended, and nothing that would not help',
      6881,
      [network({ peers: 0, refusal: new PeerwireError('revoked', 'Removed.'), trackers: [down] })],
      ['membership of team'],
    ],
  ];
  for (const [name, port, networks, expected] of troubles) {
    it(`names ${name}, with a remedy`, () => {
      const wrong = diagnose(port, networks).filter(({ ok }) => !ok);
      assert.deepEqual(
        wrong.map(({ check }) => check),
        expected,
      );
      for (const { fix } of wrong) assert.ok(fix);
    });
  }

  it('is content with one tracker of several', () => {
    const lines = diagnose(6881, [network({ trackers: [down, tracker(true)] })]);
    assert.equal(lines.find(({ check }) => check === 'tracker of team')?.ok, true);
  });

  it('says why no tracker answers', () => {
    const lines = diagnose(6881, [network({ trackers: [down] })]);
    assert.equal(lines.find(({ check }) => check === 'tracker of team')?.detail, 'No tracker answers.');
  });

  it('says what a device can do that nobody will have', () => {
    const fixOf = (code: 'revoked' | 'expired'): string =>
      diagnose(6881, [network({ refusal: new PeerwireError(code, 'No.') })]).find(({ ok }) => !ok)?.fix ?? '';
    assert.match(fixOf('revoked'), /creator/);
    assert.match(fixOf('expired'), /new invite/);
  });

  it('needs no tracker where members are connected', () => {
    assert.ok(diagnose(6881, [network({ trackers: [] })]).every(({ ok }) => ok));
  });

  const ufw: Firewall = { name: 'ufw', command: (port, protocol) => `sudo ufw allow ${port}/${protocol}` };
  const reach = (outcomes: readonly (DialBackOutcome | undefined)[], more: Partial<Findings> = {}): DiagnosisLine[] => {
    const dialBacks = outcomes.map((outcome, index) => ({ name: `peer ${index}`, outcome }));
    return diagnoseAll({ dialBacks, ...more }).filter(({ check }) => check === 'reachable' || check === 'firewall');
  };

  it('says who reached this peer, if anybody did', () => {
    const [line, ...rest] = reach(['dropped', 'ok'], { firewall: ufw });
    assert.deepEqual([line?.ok, rest.length], [true, 0]);
    assert.match(line?.detail ?? '', /peer 1 .*6881/);
  });

  it('says that nobody could, and the command that lets them', () => {
    const [line] = reach(['dropped', 'dropped', 'busy'], { firewall: ufw });
    assert.equal(line?.ok, false);
    assert.match(line?.detail ?? '', /peer 0, peer 1 could not .*firewall/);
    assert.match(line?.fix ?? '', /sudo ufw allow 6881\/tcp/);
    assert.equal(line?.command, 'sudo ufw allow 6881/tcp');
    assert.match(reach(['refused', 'dropped'])[0]?.detail ?? '', /refused/);
    assert.match(reach(['refused'])[0]?.fix ?? '', /TCP .*6881/);
  });

  it('says nothing of it when nobody could be asked, unless nobody is there and a firewall is on', () => {
    assert.deepEqual(reach([undefined, 'busy'], { firewall: ufw }), []);
    const [line] = reach([], { firewall: ufw, networks: [network({ peers: 0 })] });
    assert.deepEqual([line?.check, line?.ok], ['firewall', false]);
    assert.match(line?.fix ?? '', /sudo ufw allow/);
    assert.deepEqual(reach(['dropped'], { port: undefined, firewall: ufw }), []);
  });

  it('tells where multicast works, and what to do where it works nowhere', () => {
    const test = (ok: boolean, name: string) => ({ interface: name, address: '10.0.0.5', family: 4, ok }) as const;
    const local = (multicast: Findings['multicast']): DiagnosisLine | undefined =>
      diagnoseAll({ multicast, firewall: ufw }).find(({ check }) => check === 'local network');
    assert.equal(local([test(false, 'tun0'), test(true, 'eth0')])?.ok, true);
    assert.match(local([test(false, 'tun0'), test(true, 'eth0')])?.detail ?? '', /works on eth0.* not on tun0/);
    assert.equal(local([test(false, 'tun0')])?.ok, false);
    assert.match(local([test(false, 'tun0')])?.fix ?? '', /ufw allow 6771\/udp/);
    const loopback = { ...LAN, name: 'lo', internal: true };
    const told = diagnoseAll({ multicast: [test(false, 'lo'), test(true, 'eth0')], interfaces: [loopback, LAN] });
    assert.equal(told.find(({ check }) => check === 'local network')?.detail, 'Multicast works on eth0 (IPv4).');
    assert.equal(local(undefined)?.ok, true);
    assert.match(local(undefined)?.detail ?? '', /switched off/);
  });

  it('tells what the router forwards, if it was asked', () => {
    const line = (portMapping: Findings['portMapping']): DiagnosisLine | undefined =>
      diagnoseAll({ portMapping }).find(({ check }) => check === 'port mapping');
    assert.equal(line(undefined), undefined);
    const mapped = line({ mapped: { host: '198.51.100.7', port: 40_000, by: 'UPnP' }, problem: undefined });
    assert.match(mapped?.detail ?? '', /198\.51\.100\.7, port 40000 \(UPnP\)/);
    const failed = line({ mapped: undefined, problem: 'No router answered.' });
    assert.deepEqual([failed?.ok, failed?.detail], [false, 'No router answered.']);
    assert.match(failed?.fix ?? '', /6881/);
  });

  it('tells when the machine is alone, and when it is inside another', () => {
    const alone = diagnoseAll({ interfaces: [{ ...LAN, internal: true }] })[0];
    assert.deepEqual([alone?.check, alone?.ok], ['addresses', false]);
    assert.match(diagnoseAll({ place: 'WSL' })[0]?.detail ?? '', /WSL/);
  });
});

describe('finding a firewall', () => {
  interface Machine {
    readonly platform?: NodeJS.Platform;
    readonly files?: Readonly<Record<string, string>>;
    readonly commands?: Readonly<Record<string, string>>;
  }

  async function commandOn({ platform = 'linux', files = {}, commands = {} }: Machine): Promise<string | undefined> {
    const firewall = await findFirewall({
      platform,
      run: async (command, ...args) => commands[[command, ...args].join(' ')],
      read: async (path) => files[path],
    });
    return firewall?.command(4242, 'tcp');
  }

  const NFT = `table ip nat {
\tchain postrouting {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t}
}
table inet filter {
\tset allowed {
\t\ttype ipv4_addr
\t}

\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\tct state established,related accept
\t\tiif "lo" accept
\t}

\tchain forward {
\t\ttype filter hook forward priority filter; policy drop;
\t}
}
`;

  const machines: [string, Machine, string | undefined][] = [
    ['none', { files: { '/etc/ufw/ufw.conf': 'ENABLED=no\nLOGLEVEL=low\n' } }, undefined],
    [
      'ufw, whose rules are in nftables, too',
      { files: { '/etc/ufw/ufw.conf': '# comment\nENABLED=yes\n' }, commands: { 'nft list ruleset': NFT } },
      'sudo ufw allow 4242/tcp',
    ],
    [
      'firewalld',
      { commands: { 'firewall-cmd --state': 'running\n' } },
      'sudo firewall-cmd --permanent --add-port=4242/tcp && sudo firewall-cmd --reload',
    ],
    [
      'nftables by hand',
      { commands: { 'nft list ruleset': NFT } },
      'sudo nft insert rule inet filter input tcp dport 4242 accept',
    ],
    [
      'iptables',
      { commands: { 'iptables -S INPUT': '-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n' } },
      'sudo iptables -I INPUT -p tcp --dport 4242 -j ACCEPT',
    ],
    ['iptables that lets in everything', { commands: { 'iptables -S INPUT': '-P INPUT ACCEPT\n' } }, undefined],
    [
      'that of Windows',
      {
        platform: 'win32',
        commands: {
          'netsh advfirewall show currentprofile':
            'Private Profile Settings: \r\n----\r\nState                                 ON\r\nFirewall Policy   BlockInbound\r\n',
        },
      },
      'netsh advfirewall firewall add rule name="Peerwire" dir=in action=allow protocol=TCP localport=4242',
    ],
    [
      'that of macOS',
      {
        platform: 'darwin',
        commands: {
          '/usr/libexec/ApplicationFirewall/socketfilterfw --getglobalstate': 'Firewall is enabled. (State = 1)\n',
        },
      },
      `sudo ${MAC} --add "${process.execPath}" && sudo ${MAC} --unblockapp "${process.execPath}"`,
    ],
    [
      'that of macOS, switched off',
      {
        platform: 'darwin',
        commands: {
          '/usr/libexec/ApplicationFirewall/socketfilterfw --getglobalstate': 'Firewall is disabled. (State = 0)\n',
        },
      },
      undefined,
    ],
  ];
  for (const [name, machine, command] of machines)
    it(`knows ${name}`, async () => assert.equal(await commandOn(machine), command));

  it('names a chain only if a shell would read it as one', () => {
    assert.equal(droppingChain(NFT), 'inet filter input');
    assert.equal(droppingChain(NFT.replace('inet filter', 'inet $(reboot)')), undefined);
    assert.equal(droppingChain(NFT.replace('inet filter', 'bridge filter')), undefined);
  });
});
