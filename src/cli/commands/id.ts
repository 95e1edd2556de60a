import type { Command } from 'commander';
import { formatDeviceId } from '../../common/ids.ts';
import type { Cli } from '../cli.ts';
import { OFFLINE, withPeer } from '../session.ts';
import { safeText } from '../text.ts';

export function addIdCommand(program: Command, cli: Cli): void {
  program
    .command('id')
    .description('show this device: its id, its name, and words to compare aloud')
    .option('--set-name <name>', 'give the device another name')
    .action(async (options: { setName?: string }, command: Command) => {
      const context = cli.context(command);
      await withPeer(context, OFFLINE, async ({ api }) => {
        if (options.setName !== undefined) await api.setDeviceName(options.setName);
        const { device, name, words } = await api.status();
        context.output.result(
          { device, name, words },
          `${safeText(name)}\n${formatDeviceId(device)}\n${words.join(' ')}`,
        );
      });
    });
}
