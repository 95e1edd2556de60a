import type { Command } from 'commander';
import type { MemberInfo } from '../../peer/api.ts';
import type { Cli, CommandContext } from '../cli.ts';
import { OFFLINE, withPeer } from '../session.ts';
import { formatAge, formatTable } from '../text.ts';

/** Characters of a device id that are shown: enough to name it to other commands. */
const SHOWN_ID = 12;

export function addMembersCommand(program: Command, cli: Cli): void {
  program
    .command('members')
    .description('list who is or was a member of a network, with the words to compare aloud')
    .option('--network <name>', 'of this network only (id or name)')
    .action((options: { network?: string }, command: Command) => listMembers(cli.context(command), options.network));
}

async function listMembers(context: CommandContext, network: string | undefined): Promise<void> {
  await withPeer(context, OFFLINE, async ({ api, temporary }) => {
    const members = await api.members(network);
    const networks = await api.networks();
    const names = new Map(networks.map(({ network: id, name }) => [id, name]));
    const many = new Set(members.map((member) => member.network)).size > 1;
    const now = Date.now();
    const rows = members.map((member) => [
      member.name,
      roleOf(member),
      // A peer that was opened to ask is connected to nobody: that says nothing about the others.
      stateOf(member, temporary, now),
      member.inviterName ?? member.inviter?.slice(0, SHOWN_ID) ?? '',
      member.words.join(' '),
      member.device.slice(0, SHOWN_ID),
      ...(many ? [names.get(member.network) ?? member.network] : []),
    ]);
    const head = ['NAME', 'ROLE', 'STATE', 'INVITED BY', 'WORDS', 'ID', ...(many ? ['NETWORK'] : [])];
    context.output.results(members, members.length > 0 ? formatTable(head, rows) : 'This device is in no network.');
  });
}

function roleOf({ creator, admin }: MemberInfo): string {
  if (creator) return 'creator';
  return admin ? 'admin' : 'member';
}

function stateOf(member: MemberInfo, temporary: boolean, now: number): string {
  const { self, state, via, lastSeen, removed, removedBy, removedByName } = member;
  if (state === 'revoked') {
    const by = removedByName ?? removedBy?.slice(0, SHOWN_ID);
    const age = removed === undefined ? undefined : formatAge(removed, now);
    return `revoked${by ? ` by ${by}` : ''}${age === undefined || age === 'now' ? '' : ` ${age} ago`}`;
  }
  if (self) return 'this device';
  if (state === 'connected') return via === 'relay' ? 'connected (relayed)' : 'connected';
  if (lastSeen === undefined) return temporary ? 'never met' : 'away, never met';
  const age = formatAge(lastSeen, now);
  return `seen ${age === 'now' ? 'just now' : `${age} ago`}`;
}
