import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';

/** What keeps others out, as far as it can be seen, and how to let them in. */
export interface Firewall {
  /** As its users call it. */
  readonly name: string;
  /** Lets in what goes to the port. To be shown, never to be run by us. */
  readonly command: (port: number, protocol: 'tcp' | 'udp') => string;
}

export interface FirewallProbe {
  readonly platform: NodeJS.Platform;
  /** What a command printed on stdout; undefined when it is not there, may not be used, or takes too long. */
  readonly run: (command: string, ...args: string[]) => Promise<string | undefined>;
  /** Undefined when it cannot be read. */
  readonly read: (path: string) => Promise<string | undefined>;
}

/** Milliseconds for one command, and characters that are read of it. */
const TIMEOUT = 2000;
const MOST_OUTPUT = 1024 * 1024;
/** Where administrators' tools are, though not for everyone. */
const ADMIN_PATHS = ['/usr/sbin', '/sbin', '/usr/local/sbin'];
const MAC_FIREWALL = '/usr/libexec/ApplicationFirewall/socketfilterfw';

/** This machine. Only fixed commands that change nothing, without a shell. */
export const thisMachine: FirewallProbe = {
  platform: process.platform,
  run: (command, ...args) =>
    new Promise((resolve) => {
      const path = [process.env.PATH ?? '', ...ADMIN_PATHS].join(process.platform === 'win32' ? ';' : ':');
      const options = { timeout: TIMEOUT, maxBuffer: MOST_OUTPUT, windowsHide: true };
      // In English, since it is read.
      const env = { ...process.env, PATH: path, LC_ALL: 'C' };
      execFile(command, args, { ...options, env }, (error, stdout) => resolve(error ? undefined : stdout));
    }),
  read: (path) => readFile(path, 'utf8').catch(() => undefined),
};

/** The firewall that is on and lets in only what it is told to; undefined when none is seen. Takes some seconds at most. */
export async function findFirewall(probe: FirewallProbe = thisMachine): Promise<Firewall | undefined> {
  switch (probe.platform) {
    case 'linux':
      return await findOnLinux(probe);
    case 'darwin':
      return /enabled/i.test((await probe.run(MAC_FIREWALL, '--getglobalstate')) ?? '') ? MAC : undefined;
    case 'win32':
      return /^\s*State\s+ON\s*$/im.test((await probe.run('netsh', 'advfirewall', 'show', 'currentprofile')) ?? '')
        ? WINDOWS
        : undefined;
    default:
      return undefined;
  }
}

/** Those that write the kernel's rules first: who adds to these by hand loses it when they write again. */
async function findOnLinux({ run, read }: FirewallProbe): Promise<Firewall | undefined> {
  const [ufw, firewalld, nftables, iptables] = await Promise.all([
    read('/etc/ufw/ufw.conf'),
    run('firewall-cmd', '--state'),
    run('nft', 'list', 'ruleset'),
    run('iptables', '-S', 'INPUT'),
  ]);
  if (/^\s*ENABLED\s*=\s*yes\s*$/im.test(ufw ?? '')) return UFW;
  if (firewalld?.trim() === 'running') return FIREWALLD;
  const chain = droppingChain(nftables ?? '');
  if (chain !== undefined) return nft(chain);
  return /^-P INPUT (DROP|REJECT)$/m.test(iptables ?? '') ? IPTABLES : undefined;
}

const UFW: Firewall = { name: 'ufw', command: (port, protocol) => `sudo ufw allow ${port}/${protocol}` };

const FIREWALLD: Firewall = {
  name: 'firewalld',
  command: (port, protocol) =>
    `sudo firewall-cmd --permanent --add-port=${port}/${protocol} && sudo firewall-cmd --reload`,
};

const IPTABLES: Firewall = {
  name: 'iptables',
  command: (port, protocol) => `sudo iptables -I INPUT -p ${protocol} --dport ${port} -j ACCEPT`,
};

const MAC: Firewall = {
  name: 'the macOS application firewall',
  command: () =>
    `sudo ${MAC_FIREWALL} --add "${process.execPath}" && sudo ${MAC_FIREWALL} --unblockapp "${process.execPath}"`,
};

const WINDOWS: Firewall = {
  name: 'Windows Defender Firewall',
  command: (port, protocol) =>
    `netsh advfirewall firewall add rule name="Peerwire" dir=in action=allow protocol=${protocol.toUpperCase()} localport=${port}`,
};

function nft(chain: string): Firewall {
  return {
    name: 'nftables',
    command: (port, protocol) => `sudo nft insert rule ${chain} ${protocol} dport ${port} accept`,
  };
}

/** `family table chain` of the first chain in a listing of rules that drops what comes in unless a rule accepts it. */
export function droppingChain(ruleset: string): string | undefined {
  let table = '';
  let chain = '';
  for (const line of ruleset.split('\n')) {
    const [, family, name] = /^table (\S+) (\S+) \{/.exec(line) ?? [];
    if (family !== undefined) table = `${family} ${name}`;
    chain = /^\s+chain (\S+) \{/.exec(line)?.[1] ?? chain;
    const [, of, policy] = /^\s+type filter hook (\w+) priority [^;]+; policy (\w+);/.exec(line) ?? [];
    // Rules of arp and bridge know no ports.
    if (of === 'input' && policy === 'drop' && /^(inet|ip|ip6) [\w.-]+$/.test(table) && /^[\w.-]+$/.test(chain)) {
      return `${table} ${chain}`;
    }
  }
  return undefined;
}
