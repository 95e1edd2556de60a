import type { PeerwireError } from '../../common/errors.ts';
import type { LanSelfTest } from '../../transport/lan-discovery.ts';
import { LSD_PORT } from '../../transport/lsd-announce.ts';
import type { LanInterface } from '../../transport/network-interfaces.ts';
import type { MappedPort } from '../../transport/port-mapper.ts';
import type { DiagnosisLine } from '../api.ts';
import type { DialBackReport } from '../network/dial-back.ts';
import type { TrackerStatus } from '../network/tracker-announcer.ts';
import type { Firewall } from './firewall.ts';
import type { Place } from './place.ts';

/** Milliseconds by which clocks may differ: more than that, and fresh invites and certificates seem to be of the future. */
const MOST_SKEW = 5 * 60_000;

/** What an interface is, by the name that the usual programs and systems give it. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^(tun|tap|wg|utun|ipsec|ppp|tailscale|zt|nordlynx|proton)\w*$|\b(VPN|WireGuard|Tailscale|ZeroTier)\b/i, 'VPN'],
  [
    /^(docker|br-|veth|virbr|podman|cni|lxc|lxd|vmnet|vboxnet|bridge1)|^vEthernet\b|\b(VMware|VirtualBox)\b/i,
    'virtual',
  ],
];

/** How one network fares. */
export interface NetworkDiagnosis {
  readonly name: string;
  /** Connected devices. */
  readonly peers: number;
  /** That this device is not welcome. */
  readonly refusal: PeerwireError | undefined;
  readonly trackers: readonly TrackerStatus[];
}

/** A port that this peer was to listen at, and another window of this device, or another program, does. */
export interface TakenPort {
  readonly port: number;
  readonly by: 'window' | 'program';
}

/** What was found out about reaching others, and being reached. */
export interface Findings {
  /** Where we accept connections, if anywhere. */
  readonly port: number | undefined;
  /** The port of the settings, when somebody else has it. */
  readonly taken?: TakenPort | undefined;
  readonly networks: readonly NetworkDiagnosis[];
  readonly interfaces: readonly LanInterface[];
  /** Undefined when local discovery is off. */
  readonly multicast: readonly LanSelfTest[] | undefined;
  /** What members said that were asked to dial this peer. */
  readonly dialBacks: readonly DialBackReport[];
  readonly firewall: Firewall | undefined;
  readonly place: Place | undefined;
  /** What became of asking the router to forward our port; undefined when it was not to be asked. */
  readonly portMapping: { readonly mapped: MappedPort | undefined; readonly problem: string | undefined } | undefined;
}

/** What works and what does not of reaching others, with a remedy each. */
export function diagnose(findings: Findings): DiagnosisLine[] {
  const { networks } = findings;
  const lines = [
    diagnoseAddresses(findings),
    diagnoseListening(findings),
    ...diagnosePortMapping(findings),
    ...diagnoseReach(findings),
    ...diagnoseMulticast(findings),
  ];
  if (networks.length === 0) {
    lines.push({
      check: 'network',
      ok: false,
      detail: 'You are in no network.',
      fix: 'Create a network, or join one with an invite.',
    });
  }
  return [...lines, ...networks.flatMap(diagnoseNetwork), ...diagnoseClock(networks)];
}

function diagnoseAddresses({ interfaces, place }: Findings): DiagnosisLine {
  const check = 'addresses';
  const outside = interfaces.filter(({ internal }) => !internal);
  if (outside.length === 0) {
    return { check, ok: false, detail: 'This machine has no network connection.', fix: 'Connect it to a network.' };
  }
  const names = [...new Set(outside.map(({ name }) => name))];
  const list = names.map((name) => {
    const addresses = outside.filter((entry) => entry.name === name).flatMap((entry) => entry.addresses);
    const kind = KINDS.find(([pattern]) => pattern.test(name))?.[1];
    return `${name}${kind === undefined ? '' : ` (${kind})`}: ${addresses.join(', ')}`;
  });
  const inside =
    place === undefined
      ? ''
      : ` This peer runs in ${place}, where others can rarely dial it: it reaches them by itself, and through relays.`;
  return { check, ok: true, detail: `${list.join('; ')}.${inside}` };
}

function diagnoseListening({ port, taken }: Findings): DiagnosisLine {
  const check = 'listening';
  if (port !== undefined && taken !== undefined) {
    const instead = `Port ${port} accepts connections: port ${taken.port} is in use by`;
    if (taken.by === 'window') return { check, ok: true, detail: `${instead} another window of this device.` };
    return {
      check,
      ok: false,
      detail: `${instead} another program.`,
      fix: `End that program and start the peer again, or set another port than ${taken.port}.`,
    };
  }
  if (port !== undefined) return { check, ok: true, detail: `Port ${port} accepts connections.` };
  return {
    check,
    ok: false,
    detail: 'This peer accepts no incoming connections.',
    fix: 'Allow incoming connections in the settings, so that peers behind firewalls can reach you.',
  };
}

function diagnosePortMapping({ port, portMapping }: Findings): DiagnosisLine[] {
  if (portMapping === undefined) return [];
  const check = 'port mapping';
  const { mapped, problem } = portMapping;
  if (mapped) {
    const where = mapped.host === undefined ? 'its' : `${mapped.host},`;
    return [{ check, ok: true, detail: `The router forwards ${where} port ${mapped.port} (${mapped.by}).` }];
  }
  return [
    {
      check,
      ok: false,
      detail: problem ?? 'The router was not asked yet.',
      fix: `Switch on UPnP or NAT-PMP in the router, or have it forward TCP port ${port} to this machine.`,
    },
  ];
}

/** Whether others get through to the port, by the word of those who tried; without anybody to ask, what may be in the way. */
function diagnoseReach({ port, dialBacks, firewall, networks }: Findings): DiagnosisLine[] {
  if (port === undefined) return [];
  const check = 'reachable';
  const tried = dialBacks.filter(({ outcome }) => outcome !== undefined && outcome !== 'busy');
  const reached = tried.find(({ outcome }) => outcome === 'ok');
  if (reached) return [{ check, ok: true, detail: `${reached.name} reached this peer at port ${port}.` }];
  const command = firewall && { command: firewall.command(port, 'tcp') };
  const opening =
    firewall === undefined
      ? `Allow incoming TCP connections to port ${port} in the firewall of this machine, or of the router in between.`
      : `Open the port in ${firewall.name}: ${firewall.command(port, 'tcp')}`;
  if (tried.length > 0) {
    const names = tried.map(({ name }) => name).join(', ');
    const dropped = tried.every(({ outcome }) => outcome === 'dropped');
    return [
      {
        check,
        ok: false,
        detail: `${names} could not reach this peer at port ${port}: ${dropped ? 'nobody answered, as behind a firewall' : 'the connection was refused'}.`,
        fix: `${opening} Until then it connects to others by itself, and through relays.`,
        ...command,
      },
    ];
  }
  if (firewall === undefined || networks.some(({ peers }) => peers > 0)) return [];
  const detail = `${firewall.name} may keep others from this peer.`;
  return [{ check: 'firewall', ok: false, detail, fix: opening, ...command }];
}

function diagnoseMulticast({ multicast: tests, interfaces, firewall }: Findings): DiagnosisLine[] {
  const check = 'local network';
  // Of this machine alone, which serves its windows: nothing that anybody would look for here.
  const internal = new Set(interfaces.filter((entry) => entry.internal).map(({ name }) => name));
  const multicast = tests?.filter((test) => !internal.has(test.interface));
  if (multicast === undefined) {
    return [{ check, ok: true, detail: 'Looking for peers on the local network is switched off.' }];
  }
  if (multicast.length === 0) return [];
  const on = (ok: boolean): string =>
    multicast
      .filter((test) => test.ok === ok)
      .map(({ interface: name, family }) => `${name} (IPv${family})`)
      .join(', ');
  const failed = on(false);
  if (on(true) !== '') {
    const rest = failed === '' ? '' : ` It does not on ${failed}.`;
    return [{ check, ok: true, detail: `Multicast works on ${on(true)}.${rest}` }];
  }
  const opening = firewall === undefined ? '' : ` Or open it in ${firewall.name}: ${firewall.command(LSD_PORT, 'udp')}`;
  return [
    {
      check,
      ok: false,
      detail: `Multicast does not work on ${failed}: peers on the local network are not found by it.`,
      fix: `Guest and company networks often block it: add a tracker, or a peer by its address.${opening}`,
      ...(firewall && { command: firewall.command(LSD_PORT, 'udp') }),
    },
  ];
}

function diagnoseNetwork({ name, peers, refusal, trackers }: NetworkDiagnosis): DiagnosisLine[] {
  // Neither a tracker nor other peers would help.
  if (refusal) return [{ check: `membership of ${name}`, ok: false, detail: refusal.message, fix: remedyOf(refusal) }];
  return [
    { check: `tracker of ${name}`, ...diagnoseTrackers(trackers, peers) },
    peers > 0
      ? { check: `peers of ${name}`, ok: true, detail: `${peers} connected.` }
      : {
          check: `peers of ${name}`,
          ok: false,
          detail: 'Nobody is connected.',
          fix: 'Ask a member to open their editor, or add a peer by its address (host:port).',
        },
  ];
}

function remedyOf({ code }: PeerwireError): string {
  return code === 'revoked'
    ? 'Leave the network. If it was a mistake, ask its creator for an invite for another device identity: this one cannot come back.'
    : 'Ask a member for a new invite, and join the network with it.';
}

function diagnoseTrackers(trackers: readonly TrackerStatus[], peers: number): Omit<DiagnosisLine, 'check'> {
  const answered = trackers.filter(({ ok }) => ok === true);
  if (answered.length > 0) {
    const list = answered.map(({ url, delay, seenAs }) => {
      const facts = [
        ...(delay === undefined ? [] : [`${Math.round(delay)} ms`]),
        ...(seenAs === undefined ? [] : [`sees this machine as ${seenAs}`]),
      ];
      return facts.length > 0 ? `${url} (${facts.join('; ')})` : url;
    });
    // Of those that answered, what they want their users to know.
    const silent = trackers.flatMap(({ ok, problem, url }) => problem ?? (ok === false ? `${url} failed.` : []));
    return { ok: true, detail: [`Announced at ${list.join(', ')}.`, ...silent].join(' ') };
  }
  if (trackers.length === 0 && peers > 0) {
    return { ok: true, detail: 'There is none: members find each other on the local network, and by each other.' };
  }
  if (trackers.length === 0) {
    const fix = 'Add a tracker to the network, or add a peer by its address.';
    return { ok: false, detail: 'This network has no tracker.', fix };
  }
  const failed = trackers.find(({ ok }) => ok === false);
  if (!failed) return { ok: false, detail: 'No tracker has answered yet.', fix: 'Look again in a moment.' };
  const { problem = 'No tracker answers.', remedy } = failed;
  const fix = remedy ?? 'Check that the tracker runs and that this machine reaches its address.';
  return { ok: false, detail: problem.endsWith(` ${fix}`) ? problem.slice(0, -fix.length - 1) : problem, fix };
}

/** By the trackers that tell the time. One that agrees with this machine is enough: another may be wrong. */
function diagnoseClock(networks: readonly NetworkDiagnosis[]): DiagnosisLine[] {
  const told = networks.flatMap(({ trackers }) =>
    trackers.flatMap(({ url, ok, ahead }) => (ok === true && ahead !== undefined ? [{ url, ahead }] : [])),
  );
  const [nearest] = told.sort((a, b) => Math.abs(a.ahead) - Math.abs(b.ahead));
  if (nearest === undefined) return [];
  const { url, ahead } = nearest;
  const check = 'clock';
  if (Math.abs(ahead) <= MOST_SKEW) return [{ check, ok: true, detail: `It agrees with that of ${url}.` }];
  const minutes = Math.round(Math.abs(ahead) / 60_000);
  return [
    {
      check,
      ok: false,
      detail: `The clock of this machine is ${minutes} minutes ${ahead > 0 ? 'behind' : 'ahead of'} that of ${url}: invites and memberships may seem to have expired, or not to hold yet.`,
      fix: 'Have the system set its time automatically.',
    },
  ];
}
