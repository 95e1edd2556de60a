/**
 * Small networks of real hosts on this machine: each is a network namespace, plugged by veth pairs into switches (bridges in
 * namespaces of their own). Needs Linux and root, and nftables for what filters or translates.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Context } from 'mocha';
import { useCli } from './cli-build.ts';
import { type CommandOptions, type Running, type RunningPeer, Stage } from './processes.ts';

/** Ends what runs in the namespaces named on its stdin, and deletes them, when that closes: also when the test was killed. */
const REAPER = `
trap '' INT TERM HUP
while read -r name; do names="$names $name"; done
for name in $names; do
  for pid in $(ip netns pids "$name"); do kill -9 "$pid"; done
done
for name in $names; do ip netns delete "$name"; done
`;

let labs = 0;

/** Why there can be no network namespaces here; undefined when there can. */
function obstacle(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const [command, option] of [
    ['ip', '-V'],
    ['nft', '--version'],
  ] as const)
    if (spawnSync(command, [option]).status !== 0) return `there is no command “${command}”`;
  const name = `pw${process.pid}-try`;
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (made.status !== 0) return `no network namespace could be made: ${made.stderr.trim()}`;
  spawnSync('ip', ['netns', 'delete', name]);
  return undefined;
}

/** To be called in `before`: skips the suite where there can be no namespaces, and fails it where they are required (`CI`). */
export function requireNamespaces(context: Context): void {
  const problem = obstacle();
  if (problem === undefined) return;
  if (process.env.CI !== undefined) throw new Error(`These tests are required here, but ${problem}.`);
  console.log(`    skipped: ${problem}`);
  context.skip();
}

/** Runs a command to its end. Rejects, with what it said on stderr, when it fails. */
function run(command: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, (error, stdout, stderr) => {
      if (error) reject(new Error(`${command} ${args.join(' ')}: ${stderr.trim() || error.message}`));
      else resolve(stdout);
    });
    child.stdin?.on('error', () => {}); // It ended without reading it.
    child.stdin?.end(input);
  });
}

/** Addresses with prefix lengths: `10.0.0.1/24`, `fd00::1/64`. */
export interface Plug {
  readonly ipv4?: string;
  readonly ipv6?: string;
  /** Default routers. */
  readonly via4?: string;
  readonly via6?: string;
}

/** One end of a cable in a host, the other in a switch. */
export class Cable {
  /** Name of the interface in the host: eth0, eth1… */
  readonly interface: string;
  readonly host: Host;
  readonly #switch: string;
  readonly #port: string;

  constructor(host: Host, name: string, switchNamespace: string, port: string) {
    this.host = host;
    this.interface = name;
    this.#switch = switchNamespace;
    this.#port = port;
  }

  /** Takes the plug out of the switch: the host sees the carrier go, and keeps its addresses. */
  async pull(): Promise<void> {
    await run('ip', ['-n', this.#switch, 'link', 'set', this.#port, 'down']);
    await this.#carrier(false);
  }

  /** Resolves when the host sees the carrier, and has its link-local address. */
  async plugIn(): Promise<void> {
    await run('ip', ['-n', this.#switch, 'link', 'set', this.#port, 'up']);
    await this.#carrier(true);
  }

  /** Until both ends have noticed: the kernel tells them within a second. */
  async #carrier(wanted: boolean): Promise<void> {
    for (;;) {
      const host = await run('ip', ['-n', this.host.namespace, 'address', 'show', 'dev', this.interface]);
      const port = await run('ip', ['-n', this.#switch, '-details', 'link', 'show', 'dev', this.#port]);
      const isUp = host.includes('state UP') && host.includes('inet6 fe80') && port.includes('state forwarding');
      if (wanted ? isUp : host.includes('NO-CARRIER')) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Lets the host send no more than so many bits per second: `100mbit`. */
  async limit(rate: string): Promise<void> {
    const { namespace } = this.host;
    const shape = ['root', 'tbf', 'rate', rate, 'burst', '256kb', 'latency', '50ms'];
    await run('tc', ['-n', namespace, 'qdisc', 'replace', 'dev', this.interface, ...shape]);
  }
}

/** A machine of its own: files in its `path`, processes in its namespace. */
export class Host extends Stage {
  /** Name for `ip netns`. */
  readonly namespace: string;
  readonly cables: Cable[] = [];
  readonly #via: readonly string[];

  constructor(main: string, namespace: string) {
    super(main);
    this.namespace = namespace;
    this.#via = ['ip', 'netns', 'exec', namespace];
  }

  /** Runs any command in the namespace to its end; resolves with its stdout. */
  async command(command: string, ...args: string[]): Promise<string> {
    return await run('ip', ['netns', 'exec', this.namespace, command, ...args]);
  }

  /** Starts any command in the namespace, such as a capture. It is yours to end; the end of the lab ends it, too. */
  spawn(command: string, ...args: string[]): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.namespace, command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** Adds nftables rules. */
  async nft(rules: string): Promise<void> {
    await run('ip', ['netns', 'exec', this.namespace, 'nft', '-f', '-'], rules);
  }

  /** Lets no connection in (IPv4 and IPv6), as the firewalls of hosts and of home routers do. Answers come in, and ICMP. */
  async refuseInbound(): Promise<void> {
    await this.nft(`table inet firewall {
      chain input {
        type filter hook input priority 0; policy drop;
        iif lo accept
        ct state established,related accept
        meta l4proto { icmp, icmpv6 } accept
      }
    }`);
  }

  /** Takes back `refuseInbound`. */
  async admitInbound(): Promise<void> {
    await this.command('nft', 'delete', 'table', 'inet', 'firewall');
  }

  /** Makes it a router between its cables. */
  async forward(): Promise<void> {
    await this.#set('ipv4/ip_forward', 1);
    await this.#set('ipv6/conf/all/forwarding', 1);
  }

  /** A router that hides those behind it: who leaves by this cable has its address, and nobody gets in by it unasked. */
  async masquerade(outside: Cable): Promise<void> {
    await this.nft(`table inet nat {
      chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "${outside.interface}" masquerade
      }
      chain forward {
        type filter hook forward priority 0; policy accept;
        iifname "${outside.interface}" ct state new drop
      }
    }`);
  }

  async #set(name: string, value: number): Promise<void> {
    await this.command('sh', '-c', `echo ${value} >/proc/sys/net/${name}`);
  }

  override start(args: readonly string[], options: CommandOptions = {}): Running {
    return super.start(args, { ...options, via: this.#via });
  }

  /** A peer that stays up in a home. Unless told otherwise, it listens on every address and looks for others on its LAN. */
  override async peer(home: string, ...options: string[]): Promise<RunningPeer> {
    const running = this.start(['run', '--home', this.path(home), ...options]);
    const ready = await running.event(({ event }) => event === 'ready');
    return Object.assign(running, { ready });
  }
}

/** A switch: plugs of hosts in one segment. */
export class Switch {
  readonly #namespace: string;
  #ports = 0;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** Plugs a host in. Without addresses, it has its link-local IPv6 address only. */
  async plug(host: Host, { ipv4, ipv6, via4, via6 }: Plug = {}): Promise<Cable> {
    const name = `eth${host.cables.length}`;
    const port = `port${this.#ports++}`;
    const cable = new Cable(host, name, this.#namespace, port);
    host.cables.push(cable);
    const inHost = ['-n', host.namespace];
    await run('ip', [...inHost, 'link', 'add', name, 'type', 'veth', 'peer', 'name', port, 'netns', this.#namespace]);
    await run('ip', ['-n', this.#namespace, 'link', 'set', port, 'master', 'bridge']);
    if (ipv4 !== undefined) await run('ip', [...inHost, 'address', 'add', ipv4, 'dev', name]);
    // Nobody else has it: the host may use it at once.
    if (ipv6 !== undefined) await run('ip', [...inHost, 'address', 'add', ipv6, 'dev', name, 'nodad']);
    await run('ip', [...inHost, 'link', 'set', name, 'up']);
    await cable.plugIn();
    if (via4 !== undefined) await run('ip', [...inHost, 'route', 'add', 'default', 'via', via4]);
    if (via6 !== undefined) await run('ip', [...inHost, '-6', 'route', 'add', 'default', 'via', via6]);
    return cable;
  }
}

/** The networks of one test. `dispose` ends every process in them and takes them down; so does the end of the test's process. */
export class Lab {
  readonly #main: string;
  readonly #prefix = `pw${process.pid}-${labs++}-`;
  readonly #reaper: ChildProcess;
  readonly #hosts: Host[] = [];
  #namespaces = 0;

  /** `main`: the command's bundle, that hosts run. */
  constructor(main: string) {
    this.#main = main;
    // In a session of its own, so that what ends the test and its group leaves it its work.
    this.#reaper = spawn('sh', ['-c', REAPER], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    this.#reaper.unref();
  }

  async host(): Promise<Host> {
    const host = new Host(this.#main, await this.#namespace());
    this.#hosts.push(host);
    return host;
  }

  async switch(): Promise<Switch> {
    const namespace = await this.#namespace();
    await run('ip', ['-n', namespace, 'link', 'add', 'bridge', 'type', 'bridge', 'mcast_snooping', '0']);
    await run('ip', ['-n', namespace, 'link', 'set', 'bridge', 'up']);
    return new Switch(namespace);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.dispose()));
    this.#reaper.ref();
    const ended = once(this.#reaper, 'close');
    this.#reaper.stdin?.end();
    await ended;
  }

  async #namespace(): Promise<string> {
    const name = `${this.#prefix}${this.#namespaces++}`;
    // Named before it is there: whatever happens then, it goes.
    this.#reaper.stdin?.write(`${name}\n`);
    await run('ip', ['netns', 'add', name]);
    // Duplicate address detection takes a second or two, in which the host cannot speak.
    await run('ip', [
      ...['netns', 'exec', name, 'sh', '-c'],
      'echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad',
    ]);
    await run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    return name;
  }
}

/**
 * A new lab for each test of the suite that calls this, whose hosts run the command as built from the sources. Skips the suite,
 * or fails it, as `requireNamespaces` does.
 */
export function useLab(): Pick<Lab, 'host' | 'switch'> {
  before(function () {
    requireNamespaces(this);
  });
  const cli = useCli();
  let lab: Lab | undefined;
  beforeEach(() => {
    lab = new Lab(cli.main);
  });
  afterEach(() => lab?.dispose());
  const current = (): Lab => {
    if (lab === undefined) throw new Error('There is a lab in a test only.');
    return lab;
  };
  return { host: () => current().host(), switch: () => current().switch() };
}
