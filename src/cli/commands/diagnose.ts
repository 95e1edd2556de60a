import { type Command, Option } from 'commander';
import type { Cli, CommandContext } from '../cli.ts';
import { lookAround } from '../look-around.ts';
import { withPeer } from '../session.ts';
import { addSetupOptions, peerSetup, type SetupOptions } from '../setup-options.ts';
import { safeText } from '../text.ts';
import { parseSeconds } from '../values.ts';

interface DiagnoseOptions extends SetupOptions {
  readonly wait?: number;
}

export function addDiagnoseCommand(program: Command, cli: Cli): void {
  addSetupOptions(program.command('diagnose'))
    .description('check why peers do not find each other, and what to do about it')
    .addOption(new Option('--wait <seconds>', 'give peers so long to appear').argParser(parseSeconds))
    .action((options: DiagnoseOptions, command: Command) => diagnose(cli.context(command), options));
}

async function diagnose(context: CommandContext, options: DiagnoseOptions): Promise<void> {
  await withPeer(context, peerSetup(options), async (session) => {
    const { api } = session;
    const hasPeers = (list: readonly unknown[]) => list.length > 0;
    await lookAround(context, session, options.wait, () => api.peers(), hasPeers);
    const lines = await api.diagnose();
    const text = lines.map(({ check, ok, detail, fix }) => {
      const line = `${ok ? 'ok ' : '!! '} ${safeText(check)}: ${safeText(detail)}`;
      return fix === undefined ? line : `${line}\n    ${safeText(fix)}`;
    });
    context.output.results(
      lines.map(({ check, ok, detail, fix }) => ({ check, ok, detail, fix: fix ?? null })),
      text.join('\n'),
    );
  });
}
