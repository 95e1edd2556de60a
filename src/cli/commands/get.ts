import path from 'node:path';
import { type Command, Option } from 'commander';
import { abortable } from '../../common/abort.ts';
import { PeerwireError } from '../../common/errors.ts';
import { formatBytes } from '../../common/format-bytes.ts';
import type {
  ConflictPolicy,
  DownloadPlan,
  DownloadRequest,
  ShareInfo,
  TransferInfo,
  TransferPriority,
} from '../../peer/api.ts';
import { awaitMetadata, awaitShare, nobodyHas } from '../await-share.ts';
import type { Cli, CommandContext } from '../cli.ts';
import { followDownload } from '../follow-transfer.ts';
import { untilAborted } from '../interrupt.ts';
import { transferProgress } from '../progress.ts';
import { type Session, withPeer } from '../session.ts';
import { settle } from '../settle.ts';
import { addSetupOptions, peerSetup, type SetupOptions } from '../setup-options.ts';
import { formatDuration, plural, safeText } from '../text.ts';
import { parseRate, parseSeconds } from '../values.ts';

/** Milliseconds to wait for the share and for a source of it, when the user does not say. */
const DEFAULT_WAIT = 30_000;
/** Milliseconds for a source to be connected, or to come back, in any case: cables are plugged in again, peers start again. */
const LEAST_PATIENCE = 60_000;
/** Names in one message. */
const SHOWN = 5;

interface GetOptions extends SetupOptions {
  readonly file?: string;
  readonly out: string;
  readonly onConflict?: Exclude<ConflictPolicy, 'fail'>;
  readonly wait: number;
  readonly seed?: boolean;
  readonly allowRisky?: boolean;
  readonly downloadLimit?: number;
  readonly priority?: TransferPriority;
}

export function addGetCommand(program: Command, cli: Cli): void {
  addSetupOptions(program.command('get'))
    .description('download a share, or one file of it; the same command again resumes')
    .argument('<share>', 'id, or name when it is unambiguous')
    .option('--file <path>', 'only this file of a folder')
    .option('--out <dir>', 'folder that receives it', '.')
    .addOption(
      new Option(
        '--on-conflict <policy>',
        'what to do with files that differ (default: stop before anything moves)',
      ).choices(['skip', 'overwrite', 'keep-both']),
    )
    .addOption(
      new Option('--wait <seconds>', 'wait so long for the share and a source of it')
        .argParser(parseSeconds)
        .default(DEFAULT_WAIT, `${DEFAULT_WAIT / 1000}`),
    )
    .addOption(
      new Option(
        '--download-limit <bytes/s>',
        'of this download, within that of the peer, such as 500K or 2M; 0: none',
      ).argParser(parseRate),
    )
    .addOption(
      new Option('--priority <priority>', 'which downloads of a running peer come first').choices([
        'high',
        'normal',
        'low',
      ]),
    )
    .option('--seed', 'stay up afterwards, as a source for others')
    .option('--allow-risky', 'also place files that editors or shells execute (.vscode/, .envrc, hooks…)')
    .action((share: string, options: GetOptions, command: Command) => get(cli.context(command), share, options));
}

async function get(context: CommandContext, text: string, options: GetOptions): Promise<void> {
  const { output, signal } = context;
  const started = performance.now();
  await withPeer(context, peerSetup(options), async (session) => {
    const share = await awaitShare(context, session, text, options.wait);
    const request = {
      share: share.share,
      // A running peer has another working directory.
      destination: path.resolve(options.out),
      ...(options.file === undefined ? {} : { file: options.file }),
    };
    const left = (): number => Math.max(0, options.wait - (performance.now() - started));
    await awaitMetadata(context, session, share, left());
    const plan = await abortable(signal, session.api.plan({ ...request, list: 'different' }));
    checkConflicts(plan, options);
    const allowRisky = await confirmRisky(context, plan, options);
    await awaitSource(context, session, plan, left());

    const progress = transferProgress(output);
    let transfer: TransferInfo;
    try {
      transfer = await followDownload(
        session.api,
        { ...request, onConflict: options.onConflict ?? 'fail', allowRisky, ...settingsOf(options) },
        {
          onUpdate: (update) => progress.update(update),
          patience: Math.max(options.wait, LEAST_PATIENCE),
          hasSource: async () => (await sourcesOf(session, share)) > 0,
          signal,
        },
      );
    } finally {
      progress.dispose();
    }
    report(context, plan, transfer, performance.now() - started);
    if (options.seed && session.temporary) {
      output.message('Seeding. Ctrl-C ends it.');
      await untilAborted(signal);
    }
  });
}

/** What is not said stays as it was when the download resumes. */
function settingsOf({ downloadLimit, priority }: GetOptions): Pick<DownloadRequest, 'limits' | 'priority'> {
  return {
    ...(downloadLimit === undefined ? {} : { limits: { upload: 0, download: downloadLimit } }),
    ...(priority === undefined ? {} : { priority }),
  };
}

/** Connected peers that have some of it. 0 also when the peer of this home is going away. */
async function sourcesOf({ api }: Session, { share }: ShareInfo): Promise<number> {
  const shares = await api.shares().catch(() => []);
  return shares.find((candidate) => candidate.share === share)?.sources ?? 0;
}

async function awaitSource(
  { signal }: CommandContext,
  session: Session,
  { fetchSize, share }: DownloadPlan,
  wait: number,
): Promise<void> {
  if (fetchSize === 0) return;
  const ask = (): Promise<number> => sourcesOf(session, share);
  const sources = await settle(session.api, ask, (count) => count > 0, {
    wait: share.own ? 0 : wait,
    quiet: 0,
    signal,
  });
  if (sources > 0) return;
  if (share.own) throw new PeerwireError('no-sources', `You share “${share.name}” yourself: it is ${share.source}.`);
  throw nobodyHas(share);
}

function checkConflicts(plan: DownloadPlan, options: GetOptions): void {
  if (options.onConflict !== undefined || plan.different === 0) return;
  const different = plan.files.filter((file) => file.state === 'different').map((file) => file.path);
  throw new PeerwireError(
    'exists',
    `${list(different)} ${different.length === 1 ? 'exists and differs' : 'exist and differ'} in ${plan.target}: ` +
      'choose --on-conflict skip, overwrite or keep-both.',
  );
}

/** Whether files that tools execute may be placed: said on the command line, or by the person at the terminal. */
async function confirmRisky(context: CommandContext, plan: DownloadPlan, options: GetOptions): Promise<boolean> {
  if (plan.risky.length === 0 || options.allowRisky) return options.allowRisky === true;
  const what = `“${plan.share.name}” contains what editors or shells execute: ${list(plan.risky)}`;
  if (context.confirm === undefined) {
    throw new PeerwireError('permission', `${what}. Add --allow-risky if you trust ${plan.share.ownerName}.`);
  }
  if (await context.confirm(`${what}. Place it?`)) return true;
  throw new PeerwireError('cancelled', 'Nothing was downloaded.');
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN).join(', ');
  return names.length > SHOWN ? `${shown} and ${names.length - SHOWN} more` : shown;
}

function report({ output }: CommandContext, plan: DownloadPlan, transfer: TransferInfo, measured: number): void {
  const { name, size, fetched } = transfer;
  const duration = transfer.elapsed ?? measured;
  const target = transfer.path ?? plan.target;
  const perSource = transfer.sources
    .filter((source) => source.bytes > 0)
    .map(({ device, name: source, bytes }) => ({ device, name: source, bytes }));
  const origin = perSource.length > 0 ? ` from ${perSource.map((source) => source.name).join(', ')}` : '';
  output.result(
    { path: target, bytes: size, seconds: duration / 1000, fetched, sources: perSource.length, perSource },
    fetched === 0
      ? safeText(`You already have “${name}”: ${target}`)
      : safeText(`Got “${name}” (${formatBytes(size)}) in ${formatDuration(duration)}${origin}: ${target}`) +
          (fetched < size ? `\n${plural(size - fetched, 'byte')} were here already.` : ''),
  );
}
