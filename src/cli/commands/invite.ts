import { type Command, Option } from 'commander';
import { PeerwireError } from '../../common/errors.ts';
import type { InviteInfo, PeerApi } from '../../peer/api.ts';
import type { Cli, CommandContext } from '../cli.ts';
import { OFFLINE, withPeer } from '../session.ts';
import { spread, TELLING } from '../spread.ts';
import { formatDuration, formatTable } from '../text.ts';
import { parseDuration } from '../values.ts';

/** Characters of an invite's id that are shown, and that are taken for its beginning. */
const SHOWN_ID = 12;
const MIN_PREFIX = 4;

export function addInviteCommand(program: Command, cli: Cli): void {
  const invite = program
    .command('invite')
    .description('print an invite: a link that is also a code, for whoever shall join')
    .argument('[network]', 'id or name, when this device is in several')
    .addOption(
      new Option('--expires <duration>', 'how long it admits newcomers, such as 12h or 7d').argParser(parseDuration),
    )
    .action((network: string | undefined, options: { expires?: number }, command: Command) =>
      create(cli.context(command), network, options.expires),
    );

  invite
    .command('list')
    .description('list the invites made on this device, and those that are withdrawn')
    .option('--network <name>', 'of this network only (id or name)')
    .option('--codes', 'print those that are valid: whoever has one can join')
    .action((options: { network?: string; codes?: boolean }, command: Command) =>
      list(cli.context(command), options.network, options.codes === true),
    );

  invite
    .command('revoke')
    .description('withdraw an invite: nobody joins by it any more; members that others confirmed stay')
    .argument('<invite>', 'id, the beginning of one, or the invite itself; "-" reads it from standard input')
    .option('--network <name>', 'when this device is in several')
    .action((text: string, options: { network?: string }, command: Command) =>
      revoke(cli.context(command), text, options.network),
    );
}

async function create(context: CommandContext, network: string | undefined, validFor?: number): Promise<void> {
  await withPeer(context, OFFLINE, async ({ api }) => {
    const invite = await api.createInvite({
      ...(network === undefined ? {} : { network }),
      ...(validFor === undefined ? {} : { validFor }),
    });
    context.output.result({ invite }, invite);
  });
}

async function list(context: CommandContext, network: string | undefined, codes: boolean): Promise<void> {
  await withPeer(context, OFFLINE, async ({ api }) => {
    const invites = await api.invites(network);
    const names = new Map((await api.networks()).map(({ network: id, name }) => [id, name]));
    const now = Date.now();
    const rows = invites.map((invite) => [
      invite.invite.slice(0, SHOWN_ID),
      names.get(invite.network) ?? invite.network,
      stateOf(invite, now),
      invite.inviterName,
      ...(codes ? [invite.text ?? ''] : []),
    ]);
    const table = formatTable(['ID', 'NETWORK', 'STATE', 'MADE BY', ...(codes ? ['INVITE'] : [])], rows);
    const values = invites.map(({ text, ...rest }) => (codes && text !== undefined ? { ...rest, text } : rest));
    context.output.results(values, invites.length > 0 ? table : 'No invite was made on this device.');
  });
}

async function revoke(context: CommandContext, argument: string, network: string | undefined): Promise<void> {
  const text = argument === '-' ? (await context.readInput()).trim() : argument;
  await withPeer(context, TELLING, async (session) => {
    const invite = await findInvite(session.api, text, network);
    await session.api.revokeInvite({ invite, ...(network === undefined ? {} : { network }) });
    await spread(context, session);
    context.output.result(
      /^[0-9a-f]{64}$/.test(invite) ? { invite } : {},
      'Withdrawn. Nobody joins by it any more; revoke members who did.',
    );
  });
}

/** An id for the beginning of one; anything else is for the peer to read. */
async function findInvite(api: PeerApi, text: string, network: string | undefined): Promise<string> {
  const prefix = text.toLowerCase();
  if (!/^[0-9a-f]+$/.test(prefix) || prefix.length < MIN_PREFIX || prefix.length >= 64) return text;
  const found = (await api.invites(network)).filter(({ invite }) => invite.startsWith(prefix));
  const [first] = found;
  if (!first) throw new PeerwireError('not-found', `There is no invite “${text}”; “peerwire invite list” lists them.`);
  if (found.length > 1)
    throw new PeerwireError('ambiguous', `Several invites begin with “${text}”: use more of the id.`);
  return first.invite;
}

function stateOf({ state, expires }: InviteInfo, now: number): string {
  switch (state) {
    case 'valid':
      return `valid for ${formatDuration(expires - now)}`;
    case 'expired':
      return 'expired';
    case 'revoked':
      return 'withdrawn';
  }
}
