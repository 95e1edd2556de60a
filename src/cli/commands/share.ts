import path from 'node:path';
import type { Command } from 'commander';
import { abortable } from '../../common/abort.ts';
import { formatBytes } from '../../common/format-bytes.ts';
import type { PeerApi, ShareInfo, ShareRequest } from '../../peer/api.ts';
import type { Cli, CommandContext } from '../cli.ts';
import { findShare, unknownShare } from '../find-share.ts';
import { newOperation } from '../operation.ts';
import { hashingProgress } from '../progress.ts';
import { OFFLINE, withPeer } from '../session.ts';
import { plural, safeText } from '../text.ts';
import { collect } from '../values.ts';

interface ShareOptions {
  readonly network?: string;
  readonly name?: string;
  readonly message?: string;
  readonly to?: string[];
  readonly includeSecrets?: boolean;
}

export function addShareCommands(program: Command, cli: Cli): void {
  program
    .command('share')
    .description('offer a file or folder to the members of a network')
    .argument('<path>')
    .option('--network <name>', 'id or name, when this device is in several')
    .option('--name <name>', 'offer it under another name')
    .option('--message <text>', 'a word about it')
    .option('--to <device>', 'only for this device (repeatable)', collect)
    .option('--include-secrets', 'also what looks like a secret (.env, keys, credentials)')
    .action((file: string, options: ShareOptions, command: Command) => share(cli.context(command), file, options));

  program
    .command('unshare')
    .description('stop offering; nothing is deleted anywhere')
    .argument('<share>', 'id or name')
    .action((text: string, _: object, command: Command) => unshare(cli.context(command), text));
}

async function share(context: CommandContext, file: string, options: ShareOptions): Promise<void> {
  await withPeer(context, OFFLINE, async ({ api, temporary }) => {
    const operation = newOperation();
    const { network, name, message, to, includeSecrets } = options;
    // A running peer has another working directory.
    const source = path.resolve(file);
    const published = await hash(context, api, {
      path: source,
      operation,
      ...(network === undefined ? {} : { network }),
      ...(name === undefined ? {} : { name }),
      ...(message === undefined ? {} : { message }),
      ...(to === undefined ? {} : { to }),
      ...(includeSecrets === undefined ? {} : { includeSecrets }),
    });
    await reportLeftOut(context, api, source, published, includeSecrets === true);
    if (temporary) context.output.message('Members can get it while a peer of this home is up: peerwire run');
    const { share, infohash, size, files } = published;
    context.output.result(
      { share, infohash, name: published.name, size, files },
      `Shared “${safeText(published.name)}”: ${plural(files, 'file')}, ${formatBytes(size)}.\n${share}`,
    );
  });
}

/** Publishes with a progress bar; Ctrl-C cancels. */
async function hash(
  { output, signal }: CommandContext,
  api: PeerApi,
  request: ShareRequest & { operation: string },
): Promise<ShareInfo> {
  const progress = hashingProgress(output);
  const subscription = api.onEvent((event) => {
    if (event.event === 'progress' && event.operation === request.operation) progress.update(event);
  });
  const published = api.share(request);
  try {
    return await abortable(signal, published);
  } catch (error) {
    if (signal.aborted) {
      await api.cancel(request.operation);
      await published.catch(() => undefined);
    }
    throw error;
  } finally {
    subscription.dispose();
    progress.dispose();
  }
}

/** Entries named one by one. */
const SHOWN = 10;

/** Tells a person what of a folder stays at home. */
async function reportLeftOut(
  { output }: CommandContext,
  api: PeerApi,
  source: string,
  { kind }: ShareInfo,
  includeSecrets: boolean,
): Promise<void> {
  if (kind !== 'folder' || output.json) return;
  const { ignored, secrets, skipped } = await api.scan({ paths: [source], includeSecrets });
  if (ignored > 0) output.message(`${plural(ignored, 'entry', 'entries')} left out by ignore rules.`);
  if (secrets.length > 0) output.message(`Left out because they look like secrets: ${secrets.join(', ')}`);
  for (const { path: name, reason } of skipped.slice(0, SHOWN)) output.message(`Left out: ${name} (${reason})`);
  if (skipped.length > SHOWN)
    output.message(`Left out: ${plural(skipped.length - SHOWN, 'more entry', 'more entries')}`);
}

async function unshare(context: CommandContext, text: string): Promise<void> {
  await withPeer(context, OFFLINE, async ({ api }) => {
    const { device } = await api.status();
    // Also what other windows of this device share.
    const own = (await api.shares()).filter(({ owner }) => owner === device);
    const found = findShare(own, text);
    if (found === undefined) throw unknownShare(own, text);
    await api.unshare(found.share);
    context.output.result(
      { share: found.share, name: found.name },
      `“${safeText(found.name)}” is no longer shared. Who has it keeps it.`,
    );
  });
}
