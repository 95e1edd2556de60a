import { type Command, Option } from 'commander';
import type { Cli } from '../cli.ts';
import { OFFLINE, withPeer } from '../session.ts';
import { parseDuration } from '../values.ts';

export function addInviteCommand(program: Command, cli: Cli): void {
  program
    .command('invite')
    .description('print an invite: a link that is also a code, for whoever shall join')
    .argument('[network]', 'id or name, when this device is in several')
    .addOption(
      new Option('--expires <duration>', 'how long it admits newcomers, such as 12h or 7d').argParser(parseDuration),
    )
    .action(async (network: string | undefined, options: { expires?: number }, command: Command) => {
      const context = cli.context(command);
      await withPeer(context, OFFLINE, async ({ api }) => {
        const invite = await api.createInvite({
          ...(network === undefined ? {} : { network }),
          ...(options.expires === undefined ? {} : { validFor: options.expires }),
        });
        context.output.result({ invite }, invite);
      });
    });
}
