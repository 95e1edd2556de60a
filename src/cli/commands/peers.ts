import { type Command, Option } from 'commander';
import type { PeerInfo } from '../../peer/api.ts';
import type { Cli, CommandContext } from '../cli.ts';
import { withPeer } from '../session.ts';
import { settle } from '../settle.ts';
import { addSetupOptions, peerSetup, type SetupOptions } from '../setup-options.ts';
import { formatTable } from '../text.ts';
import { parseSeconds } from '../values.ts';

/** Milliseconds that a peer which was opened for the command takes to find others, when the user does not say. */
export const FIND_WAIT = 5000;
/** Milliseconds without news after which a list is complete: a peer that runs knows, one just opened is finding out. */
export const QUIET = { running: 200, temporary: 800 };

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
  await withPeer(context, peerSetup(options), async ({ api, temporary }) => {
    const peers = await settle(
      api,
      () => api.peers(),
      (list) => list.length > 0,
      {
        wait: options.wait ?? (temporary ? FIND_WAIT : 0),
        quiet: temporary ? QUIET.temporary : QUIET.running,
        signal: context.signal,
      },
    );
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
