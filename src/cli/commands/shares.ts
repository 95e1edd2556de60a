import { type Command, Option } from 'commander';
import { formatBytes } from '../../common/format-bytes.ts';
import type { PeerApi, ShareInfo } from '../../peer/api.ts';
import type { Cli, CommandContext } from '../cli.ts';
import { lookAround } from '../look-around.ts';
import { withPeer } from '../session.ts';
import { addSetupOptions, peerSetup, type SetupOptions } from '../setup-options.ts';
import { formatAge, formatTable } from '../text.ts';
import { parseSeconds } from '../values.ts';

interface SharesOptions extends SetupOptions {
  readonly wait?: number;
}

export function addSharesCommand(program: Command, cli: Cli): void {
  addSetupOptions(program.command('shares'))
    .description('list what is shared, by you and by others')
    .addOption(new Option('--wait <seconds>', 'wait so long for the first').argParser(parseSeconds))
    .action((options: SharesOptions, command: Command) => listShares(cli.context(command), options));
}

async function listShares(context: CommandContext, options: SharesOptions): Promise<void> {
  await withPeer(context, peerSetup(options), async (session) => {
    const { api, temporary } = session;
    // What is stored may be old: a peer that was just opened asks somebody first.
    const isEnough = ({ shares, peers }: Known) => shares.length > 0 && (!temporary || peers > 0);
    const { shares } = await lookAround(context, session, options.wait, () => ask(api), isEnough);
    const now = Date.now();
    const table = formatTable(
      ['NAME', 'KIND', 'SIZE', 'FILES', 'FROM', 'SOURCES', 'AGE', 'ID'],
      shares.map((share) => [
        share.name,
        share.kind,
        formatBytes(share.size),
        String(share.files),
        share.own ? 'you' : share.ownerName,
        String(share.sources),
        formatAge(share.time, now),
        share.share,
      ]),
    );
    context.output.results(shares.map(shareRow), shares.length > 0 ? table : '');
    if (shares.length === 0) context.output.message('Nothing is shared yet.');
  });
}

interface Known {
  readonly shares: readonly ShareInfo[];
  /** How many are connected. */
  readonly peers: number;
}

async function ask(api: PeerApi): Promise<Known> {
  const [shares, peers] = await Promise.all([api.shares(), api.peers()]);
  return { shares, peers: peers.length };
}

function shareRow(share: ShareInfo) {
  const { infohash, name, kind, size, files, owner, ownerName, sources, network, version, time, message, own } = share;
  return {
    share: share.share,
    ...{ infohash, name, kind, size, files, owner, ownerName, sources, network, version, time, own },
    ...(message === undefined ? {} : { message }),
  };
}
