import type { Command } from 'commander';
import { PeerwireError } from '../../common/errors.ts';
import { parseDeviceId } from '../../common/ids.ts';
import type { NetworkInfo, PeerApi } from '../../peer/api.ts';
import type { Cli, CommandContext } from '../cli.ts';
import { ANY_PORT, OFFLINE, withPeer } from '../session.ts';
import { settle } from '../settle.ts';
import { formatTable, safeText } from '../text.ts';
import { collect } from '../values.ts';

/** Milliseconds in which members that are online hear of a revocation from a peer that was opened for it. */
const SPREAD_WAIT = 5000;
const SPREAD_QUIET = 1000;

export function addNetworkCommand(program: Command, cli: Cli): void {
  const network = program.command('network').description('create, join, list and leave networks; revoke members');

  network
    .command('create')
    .description('create a network and print an invite to it')
    .argument('<name>')
    .option('--tracker <url>', 'announce URL of a tracker (repeatable)', collect)
    .action((name: string, options: { tracker?: string[] }, command: Command) =>
      create(cli.context(command), name, options.tracker ?? []),
    );

  network
    .command('join')
    .description(
      'join a network with an invite (a link or code); "-" reads it from standard input, out of sight of other users',
    )
    .argument('<invite>')
    .action((invite: string, _: object, command: Command) => join(cli.context(command), invite));

  network
    .command('list')
    .description('list the networks of this device')
    .action((_: object, command: Command) => list(cli.context(command)));

  network
    .command('leave')
    .description('leave a network and stop sharing in it')
    .argument('<network>', 'id or name')
    .action((text: string, _: object, command: Command) => leave(cli.context(command), text));

  network
    .command('revoke')
    .description('revoke a member: others disconnect and refuse it from now on; it keeps what it has')
    .argument('<device>', 'device id')
    .option('--network <name>', 'when this device is in several')
    .action((device: string, options: { network?: string }, command: Command) =>
      revoke(cli.context(command), device, options.network),
    );
}

async function create(context: CommandContext, name: string, trackers: string[]): Promise<void> {
  await withPeer(context, OFFLINE, async ({ api }) => {
    const { network, invite } = await api.createNetwork({ name, trackers });
    context.output.message(`Created the network “${network.name}”. Whoever has this invite can join it:`);
    context.output.result({ network: network.network, name: network.name, invite }, invite);
  });
}

async function join(context: CommandContext, argument: string): Promise<void> {
  const invite = argument === '-' ? (await context.readInput()).trim() : argument;
  if (invite === '') throw new PeerwireError('usage', 'There is no invite on standard input.');
  await withPeer(context, OFFLINE, async ({ api }) => {
    const preview = await api.previewInvite(invite);
    const network = await api.joinNetwork(invite);
    context.output.result(
      { network: network.network, name: network.name },
      `Joined “${safeText(network.name)}”, invited by ${safeText(preview.inviterName)} (${preview.inviterWords.join(' ')}).`,
    );
  });
}

async function list(context: CommandContext): Promise<void> {
  await withPeer(context, OFFLINE, async ({ api, temporary }) => {
    const networks = await api.networks();
    const rows = networks.map(({ network, name, trackers, creator, peers, state, problem }) => ({
      ...{ network, name, trackers, creator },
      // A peer that is not running is connected to nobody: that says nothing about the network.
      ...(temporary ? {} : { peers, state, ...(problem === undefined ? {} : { problem }) }),
    }));
    const cells = networks.map(({ network, name, trackers, peers, state }) => [
      name,
      temporary ? 'not running' : `${state}, ${peers}`,
      trackers.length === 0 ? 'none' : trackers.join(' '),
      network,
    ]);
    const table = formatTable(['NAME', 'PEERS', 'TRACKERS', 'ID'], cells);
    context.output.results(rows, rows.length > 0 ? table : 'This device is in no network.');
  });
}

async function leave(context: CommandContext, text: string): Promise<void> {
  await withPeer(context, OFFLINE, async ({ api }) => {
    const before = await api.networks();
    await api.leaveNetwork(text);
    const left = await leftNetwork(api, before);
    context.output.result(
      { network: left?.network ?? text, name: left?.name ?? text },
      `Left the network “${safeText(left?.name ?? text)}”.`,
    );
  });
}

async function leftNetwork(api: PeerApi, before: readonly NetworkInfo[]): Promise<NetworkInfo | undefined> {
  const after = new Set((await api.networks()).map(({ network }) => network));
  return before.find(({ network }) => !after.has(network));
}

async function revoke(context: CommandContext, text: string, network: string | undefined): Promise<void> {
  const device = parseDeviceId(text);
  const setup = { listen: ANY_PORT, lan: true, connect: [] };
  await withPeer(context, setup, async ({ api, temporary }) => {
    await api.revokeMember({ device, ...(network === undefined ? {} : { network }) });
    if (temporary) {
      const { signal } = context;
      const options = { wait: SPREAD_WAIT, quiet: SPREAD_QUIET, signal };
      const peers = await settle(
        api,
        () => api.peers(),
        (list) => list.length > 0,
        options,
      );
      if (peers.length === 0) {
        context.output.message(
          'No member is online: they will hear of it when a peer of this device is (peerwire run).',
        );
      }
    }
    context.output.result(
      { device },
      'Revoked. They keep what they already have; members will refuse them from now on.',
    );
  });
}
