import { type Command, Option } from 'commander';
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
    const hasPeers = (list: readonly PeerInfo[]) => list.length > 0;
    const peers = await lookAround(context, session, options.wait, () => api.peers(), hasPeers);
    const names = new Map((await api.networks()).map(({ network, name }) => [network, name]));
    const table = formatTable(
      ['NAME', 'ADDRESS', 'NETWORK', 'WORDS'],
      peers.map((peer) => [
        peer.name,
        peer.via === 'relay' ? '(relayed)' : peer.address,
        names.get(peer.network) ?? peer.network,
        peer.words.join(' '),
      ]),
    );
    context.output.results(peers.map(peerRow), peers.length > 0 ? table : '');
    if (peers.length === 0) context.output.message('Nobody is connected. “peerwire diagnose” looks for the reason.');
  });
}

export function peerRow({ device, name, address, network, via }: PeerInfo) {
  return { device, name, address, network, via };
}
