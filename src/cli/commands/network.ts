import { type Command, Option } from 'commander';
import { PeerwireError } from '../../common/errors.ts';
import type { NetworkInfo, PeerApi } from '../../peer/api.ts';
import type { Cli, CommandContext } from '../cli.ts';
import { findMember } from '../find-member.ts';
import { OFFLINE, withPeer } from '../session.ts';
import { spread, TELLING } from '../spread.ts';
import { formatTable, safeText } from '../text.ts';
import { collect } from '../values.ts';

export function addNetworkCommand(program: Command, cli: Cli): void {
  const network = program
    .command('network')
    .description('create, join, list, change and leave networks; revoke members');

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
    .argument('<device>', 'device id, the beginning of one, or the name of a member')
    .option('--network <name>', 'when this device is in several')
    .addOption(
      new Option('--undo <what>', 'of what an admin did that you remove as the creator; recent: in the last 24 hours')
        .choices(['recent', 'all', 'nothing'])
        .default('recent'),
    )
    .action((device: string, options: RevokeOptions, command: Command) =>
      revoke(cli.context(command), device, options),
    );

  network
    .command('admin')
    .description('make a member an admin, who may revoke members and change the settings (creator only)')
    .argument('<device>', 'device id, the beginning of one, or the name of a member')
    .option('--network <name>', 'when this device is in several')
    .action((device: string, options: { network?: string }, command: Command) =>
      makeAdmin(cli.context(command), device, options.network),
    );

  network
    .command('rename')
    .description('rename a network, for all members (creator and admins)')
    .argument('<name>')
    .option('--network <name>', 'when this device is in several')
    .action((name: string, options: { network?: string }, command: Command) =>
      rename(cli.context(command), name, options.network),
    );

  network
    .command('trackers')
    .description('print the trackers of a network, or set them for all members (creator and admins)')
    .argument('[url...]', 'announce URLs: all that the network shall have')
    .option('--network <name>', 'when this device is in several')
    .option('--none', 'use no tracker')
    .action((urls: string[], options: TrackersOptions, command: Command) =>
      trackers(cli.context(command), urls, options),
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
    const rows = networks.map(({ network, name, trackers, creator, admin, peers, state, problem }) => ({
      ...{ network, name, trackers, creator, admin },
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

interface RevokeOptions {
  readonly network?: string;
  readonly undo: 'recent' | 'all' | 'nothing';
}

async function revoke(context: CommandContext, text: string, { network, undo }: RevokeOptions): Promise<void> {
  await withPeer(context, TELLING, async (session) => {
    const { api } = session;
    const device = await findMember(api, text, network);
    const { back } = await api.revokeMember({ device, undo, ...(network === undefined ? {} : { network }) });
    await spread(context, session);
    context.output.result(
      { device, back },
      [
        'Revoked. They keep what they already have; members will refuse them from now on.',
        ...back.map(
          ({ device: other, name }) =>
            `They had revoked ${safeText(name)} (${other.slice(0, 12)}), who may come back by a new invite. To keep them out: peerwire network revoke ${other.slice(0, 12)}`,
        ),
      ].join('\n'),
    );
  });
}

async function makeAdmin(context: CommandContext, text: string, network: string | undefined): Promise<void> {
  await withPeer(context, TELLING, async (session) => {
    const { api } = session;
    const device = await findMember(api, text, network);
    await api.setAdmin({ device, ...(network === undefined ? {} : { network }) });
    await spread(context, session);
    context.output.result({ device }, 'It may revoke members and change the settings of the network now.');
  });
}

async function rename(context: CommandContext, name: string, text: string | undefined): Promise<void> {
  await withPeer(context, TELLING, async (session) => {
    const { network } = await chosenNetwork(session.api, text);
    await session.api.renameNetwork({ network, name });
    await spread(context, session);
    context.output.result({ network, name }, `The network is called “${safeText(name)}” now, for all members.`);
  });
}

interface TrackersOptions {
  readonly network?: string;
  readonly none?: boolean;
}

async function trackers(context: CommandContext, urls: readonly string[], options: TrackersOptions): Promise<void> {
  const isChange = urls.length > 0 || options.none === true;
  if (urls.length > 0 && options.none) throw new PeerwireError('usage', 'Give trackers, or --none.');
  await withPeer(context, isChange ? TELLING : OFFLINE, async (session) => {
    const { network } = await chosenNetwork(session.api, options.network);
    if (isChange) {
      await session.api.setTrackers({ network, trackers: [...urls] });
      await spread(context, session);
    }
    const now = await chosenNetwork(session.api, network);
    const shown = now.trackers.length === 0 ? 'none' : now.trackers.join('\n');
    context.output.result({ network, trackers: now.trackers }, shown);
  });
}

/** By id or name; the only one when none is named. Rejects with `not-found` or `ambiguous`. */
async function chosenNetwork(api: PeerApi, text: string | undefined): Promise<NetworkInfo> {
  const all = await api.networks();
  const found = all.filter(({ network, name }) => text === undefined || text === network || text === name);
  const [first] = found;
  if (!first) throw new PeerwireError('not-found', `This device is in no network${text ? ` “${text}”` : ''}.`);
  if (found.length > 1) throw new PeerwireError('ambiguous', 'Say which network, by its id: --network ID.');
  return first;
}
