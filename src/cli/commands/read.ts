import { type Command, InvalidArgumentError, Option } from 'commander';
import { abortable } from '../../common/abort.ts';
import { PeerwireError } from '../../common/errors.ts';
import type { PeerApi, ReadRequest, ShareFile, ShareInfo } from '../../peer/api.ts';
import { awaitFiles, awaitShare, nobodyHas } from '../await-share.ts';
import type { Cli, CommandContext } from '../cli.ts';
import { newOperation } from '../operation.ts';
import { withPeer } from '../session.ts';
import { addSetupOptions, peerSetup, type SetupOptions } from '../setup-options.ts';
import { parseSeconds } from '../values.ts';

/** Milliseconds to wait for the share, and for bytes of it, when the user does not say. */
const DEFAULT_WAIT = 30_000;
/** Milliseconds that a source which is online may take to answer in any case. */
const LEAST_PATIENCE = 10_000;
/** Bytes asked for at a time, and how many such reads are under way: what is not written yet is in memory. */
const CHUNK = 256 * 1024;
const AT_ONCE = 8;
/** Bytes that the peer fetches ahead of them. */
const AHEAD = 16 * 1024 * 1024;

interface ReadOptions extends SetupOptions {
  readonly file?: string;
  readonly offset: number;
  readonly length?: number;
  readonly wait: number;
}

export function addReadCommand(program: Command, cli: Cli): void {
  addSetupOptions(program.command('read'))
    .description('write bytes of a shared file to standard output, and fetch no others')
    .argument('<share>', 'id, or name when it is unambiguous')
    .option('--file <path>', 'which file of a folder')
    .addOption(new Option('--offset <bytes>', 'where to begin').argParser(parseCount).default(0))
    .addOption(new Option('--length <bytes>', 'how much (default: to the end)').argParser(parseCount))
    .addOption(
      new Option('--wait <seconds>', 'wait so long for the share and a source of it')
        .argParser(parseSeconds)
        .default(DEFAULT_WAIT, `${DEFAULT_WAIT / 1000}`),
    )
    .action((share: string, options: ReadOptions, command: Command) => read(cli.context(command), share, options));
}

async function read(context: CommandContext, text: string, options: ReadOptions): Promise<void> {
  const started = performance.now();
  await withPeer(context, peerSetup(options), async (session) => {
    const left = (): number => Math.max(0, options.wait - (performance.now() - started));
    const share = await awaitShare(context, session, text, options.wait);
    const file = fileOf(share, await awaitFiles(context, session, share, left()), options.file);
    if (options.offset > file.size) {
      throw new PeerwireError('usage', `“${file.path}” has ${file.size} bytes: there is no byte ${options.offset}.`);
    }
    const end = Math.min(file.size, options.offset + (options.length ?? Number.POSITIVE_INFINITY));
    const wait = Math.max(left(), LEAST_PATIENCE);
    try {
      await copy(
        context,
        session.api,
        { share: share.share, path: file.path, infohash: share.infohash, wait },
        options.offset,
        end,
      );
    } catch (error) {
      throw error instanceof PeerwireError && error.code === 'no-sources' ? nobodyHas(share) : error;
    }
  });
}

/** Writes the bytes from `from` to `end` in order, with some reads under way behind the one that is written. */
async function copy(
  { signal, writeBytes }: CommandContext,
  api: PeerApi,
  request: Omit<ReadRequest, 'offset' | 'length'>,
  from: number,
  end: number,
): Promise<void> {
  const reading: { readonly operation: string; readonly result: ReturnType<PeerApi['readFile']> }[] = [];
  let next = from;
  const begin = (): void => {
    const length = Math.min(CHUNK, end - next);
    const ahead = Math.min(AHEAD, end - next - length);
    const operation = newOperation();
    const result = api.readFile({ ...request, offset: next, length, ahead, operation });
    result.catch(() => undefined); // Awaited in its turn, unless an earlier one fails.
    reading.push({ operation, result });
    next += length;
  };
  try {
    for (;;) {
      while (next < end && reading.length < AT_ONCE) begin();
      const [first] = reading;
      if (!first) return;
      const { data } = await abortable(signal, first.result);
      reading.shift();
      // A reader that has seen enough (`| head`) ends it.
      if (!(await abortable(signal, writeBytes(data)))) return;
    }
  } finally {
    // The peer may be one that stays; or be gone.
    for (const { operation } of reading) void api.cancel(operation).catch(() => undefined);
  }
}

function fileOf(share: ShareInfo, files: readonly ShareFile[], path: string | undefined): ShareFile {
  const [only] = files;
  if (path === undefined) {
    if (share.kind !== 'folder' && only && files.length === 1) return only;
    throw new PeerwireError('usage', `“${share.name}” is a folder: say which file of it with --file.`);
  }
  const file = files.find((candidate) => candidate.path === path);
  if (!file) throw new PeerwireError('not-found', `There is no file “${path}” in “${share.name}”.`);
  return file;
}

/** A number of bytes. */
function parseCount(text: string): number {
  const count = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(count)) throw new InvalidArgumentError('Expected a number of bytes.');
  return count;
}
