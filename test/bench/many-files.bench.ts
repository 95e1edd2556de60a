import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { CLI, Stage } from '../integration/processes.ts';
import { type Bench, type BenchOptions, type BenchReport, type BenchRow, type BenchTarget, median } from './bench.ts';
import { longestDelay, measured } from './loop-delay.ts';
import { processorTime } from './processor-time.ts';
import { Child } from './rivals/rival.ts';
import { rsync, rsyncDaemon } from './rivals/rsync.ts';
import { checkSameFiles, writeSmallFiles } from './small-files.ts';

const FILES = 20_000;

interface Round {
  /** Seconds of the commands, from their start to their end. */
  readonly share: number;
  readonly get: number;
  readonly total: number;
  /** Processor seconds of the peers and of the commands. */
  readonly source: number;
  readonly receiver: number;
  readonly commands: number;
  /** Milliseconds for which the peers' event loops were held up at most. */
  readonly sourceDelay: number;
  readonly receiverDelay: number;
}

interface Copy {
  readonly seconds: number;
  readonly processor: number;
}

export const bench: Bench = {
  about: '20,000 files of 1–8 KiB: share and get, beside an rsync daemon, files on tmpfs',

  async run(options: BenchOptions): Promise<BenchReport> {
    const folder = await mkdtemp('/dev/shm/peerwire-bench-');
    const tree = path.join(folder, 'tree');
    try {
      writeSmallFiles(tree, Math.ceil(FILES / options.scale));
      const missing = rsync.missing();
      if (missing !== undefined) options.progress(`no ratio without rsync: ${missing}`);
      const rounds: Round[] = [];
      const copies: Copy[] = [];
      // In turns, so that a busy machine slows both down alike.
      for (let run = 0; run < options.runs; run++) {
        options.progress(`run ${run + 1} of ${options.runs}`);
        if (missing === undefined) copies.push(await copy(folder, tree));
        rounds.push(await round(folder, tree, run === 0));
      }
      return report(rounds, copies);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

function report(rounds: readonly Round[], copies: readonly Copy[]): BenchReport {
  const of = (field: keyof Round): number => median(rounds.map((round) => round[field]));
  const rsync = copies.length > 0 ? median(copies.map(({ seconds }) => seconds)) : undefined;
  const rows: BenchRow[] = [
    {
      name: 'peerwire share + get',
      figures: {
        'share s': of('share'),
        'get s': of('get'),
        'total s': of('total'),
        ...(rsync === undefined ? {} : { '× rsync': of('total') / rsync }),
        'cpu s': of('source') + of('receiver') + of('commands'),
        'source cpu s': of('source'),
        'receiver cpu s': of('receiver'),
        'source held up ms': of('sourceDelay'),
        'receiver held up ms': of('receiverDelay'),
      },
    },
    rsync === undefined
      ? { name: 'rsync daemon (not installed)', figures: {} }
      : {
          name: 'rsync daemon',
          figures: { 'total s': rsync, 'cpu s': median(copies.map(({ processor }) => processor)) },
        },
  ];
  const held: BenchTarget[] = [
    { what: "source's event loop, longest hold-up, ms", figure: of('sourceDelay'), bound: { atMost: 50 } },
    { what: "receiver's event loop, longest hold-up, ms", figure: of('receiverDelay'), bound: { atMost: 50 } },
  ];
  if (rsync === undefined) return { rows, targets: held };
  const ratio: BenchTarget = {
    what: 'share and get, × rsync daemon',
    figure: of('total') / rsync,
    bound: { atMost: 3 },
  };
  return { rows, targets: [ratio, ...held] };
}

async function copy(folder: string, tree: string): Promise<Copy> {
  const destination = await mkdtemp(path.join(folder, 'rsync-'));
  const daemon = await rsyncDaemon(tree, destination);
  // Of both sides: the client counts once it has been waited for, like the daemon's own children.
  const processor = async (): Promise<number> => {
    const { own, children } = await processorTime(daemon.pid);
    return own + children + (await processorTime(process.pid)).children;
  };
  try {
    const before = await processor();
    const started = performance.now();
    await new Child('rsync', ['-a', daemon.url, `${path.join(destination, 'copy')}/`]).success();
    const seconds = (performance.now() - started) / 1000;
    return { seconds, processor: (await processor()) - before };
  } finally {
    await daemon.dispose();
    await rm(destination, { recursive: true, force: true });
  }
}

/** Two running peers, one `share`, one `get`; `check`: that what arrived is right. */
async function round(folder: string, tree: string, check: boolean): Promise<Round> {
  const stage = new Stage(CLI, folder);
  try {
    const { invite } = await stage.ok('source', 'network', 'create', 'bench');
    await stage.ok('receiver', 'network', 'join', String(invite));
    const environment = measured(stage.dir);
    Object.assign(process.env, environment);
    const source = await stage.peer('source');
    const { port } = await source.event(({ event }) => event === 'ready');
    const receiver = await stage.peer('receiver', '--connect', `127.0.0.1:${port}`);
    for (const name of Object.keys(environment)) delete process.env[name];
    const joined = await stage.ok('receiver', 'peers', '--wait', '10');
    if (typeof joined.device !== 'string') throw new Error('The receiver does not find the source.');

    const sourcePid = source.child.pid ?? 0;
    const receiverPid = receiver.child.pid ?? 0;
    const processor = async (): Promise<[number, number, number]> => [
      (await processorTime(sourcePid)).own,
      (await processorTime(receiverPid)).own,
      (await processorTime(process.pid)).children,
    ];
    await Promise.all([sourcePid, receiverPid].map((pid) => longestDelay(stage.dir, pid)));
    const before = await processor();
    const started = performance.now();
    const { share } = await stage.ok('source', 'share', tree);
    const shared = performance.now();
    const out = stage.path('out');
    await stage.ok('receiver', 'get', String(share), '--out', out, '--wait', '30');
    const ended = performance.now();
    const after = await processor();
    const [sourceDelay = Number.NaN, receiverDelay = Number.NaN] = await Promise.all(
      [sourcePid, receiverPid].map((pid) => longestDelay(stage.dir, pid)),
    );
    if (check) checkSameFiles(tree, path.join(out, path.basename(tree)));
    return {
      share: (shared - started) / 1000,
      get: (ended - shared) / 1000,
      total: (ended - started) / 1000,
      source: after[0] - before[0],
      receiver: after[1] - before[1],
      commands: after[2] - before[2],
      sourceDelay,
      receiverDelay,
    };
  } finally {
    await stage.dispose();
  }
}
