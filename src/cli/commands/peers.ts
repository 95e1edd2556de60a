import { type Command, Option } from 'commander';
import type { DeviceId } from '../../common/ids.ts';
import type { PeerInfo } from '../../peer/api.ts';
import type { Cli, CommandContext } from '../cli.ts';
import { lookAround } from '../look-around.ts';
import { withPeer } from '../session.ts';
import { addSetupOptions, peerSetup, type SetupOptions } from '../setup-options.ts';
import { formatTable } from '../text.ts';
import { parseSeconds } from '../values.ts';

interface PeersOptions extends SetupOptions {
  readonly wait?: number;
}

export function addPeersCommand(program: Command, cli: Cli): void {
  addSetupOptions(program.command('peers'))
    .description('list the peers that are connected now')
    .addOption(new Option('--wait <seconds>', 'wait so long for the first').argParser(parseSeconds))
    .action((options: PeersOptions, command: Command) => listPeers(cli.context(command), options));
}

async function listPeers(context: CommandContext, options: PeersOptions): Promise<void> {
  await withPeer(context, peerSetup(options), async (session) => {
    const { api } = session;
    const { device } = await api.status();
    // Windows of one's own are nobody to wait for.
    const hasPeers = (list: readonly PeerInfo[]) => list.some((peer) => peer.device !== device);
    const peers = await lookAround(context, session, options.wait, () => api.peers(), hasPeers);
    const names = new Map((await api.networks()).map(({ network, name }) => [network, name]));
    const table = formatTable(
      ['NAME', 'ADDRESS', 'NETWORK', 'WORDS'],
      byDevice(peers).map(([peer, others]) => [
        peer.device === device ? `${peer.name} (this device)` : peer.name,
        (peer.via === 'relay' ? '(relayed)' : peer.address) + (others === 0 ? '' : `, ${others} more`),
        names.get(peer.network) ?? peer.network,
        peer.words.join(' '),
      ]),
    );
    context.output.results(peers.map(rowOf(device)), peers.length > 0 ? table : '');
    if (!hasPeers(peers)) context.output.message('Nobody is connected. “peerwire diagnose” looks for the reason.');
  });
}

/** One of each device in each network, and how many more of its windows are there. Direct ones come first. */
function byDevice(peers: readonly PeerInfo[]): [PeerInfo, others: number][] {
  const groups = new Map<string, [PeerInfo, number]>();
  for (const peer of [...peers].sort((a, b) => Number(a.via === 'relay') - Number(b.via === 'relay'))) {
    const group = groups.get(`${peer.network}/${peer.device}`);
    if (group) group[1]++;
    else groups.set(`${peer.network}/${peer.device}`, [peer, 0]);
  }
  return [...groups.values()];
}

/** `own`: this device; other windows of it say so. */
export function rowOf(own: DeviceId | undefined) {
  return ({ device, name, address, network, via }: PeerInfo) => ({
    ...{ device, name, address, network, via },
    ...(device === own ? { self: true } : {}),
  });
}
