import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { createIdentity } from '../../src/transport/identity.ts';
import { CLI, Stage } from '../integration/processes.ts';
import { type Bench, type BenchOptions, type BenchReport, type BenchRow, median } from './bench.ts';
import { forgetPeak, residentMemory } from './memory.ts';
import { processorTime } from './processor-time.ts';
import { writeRandom } from './random-file.ts';
import { aria2 } from './rivals/aria2.ts';
import { libtorrent } from './rivals/libtorrent.ts';
import { nginx } from './rivals/nginx.ts';
import type { Rival, RivalSource } from './rivals/rival.ts';
import { rsync } from './rivals/rsync.ts';
import { webtorrent } from './rivals/webtorrent.ts';

const GIB = 1024 ** 3;
const MB = 1e6;

/** Of the code of both peers. */
type State = 'cold' | 'warm';

interface Transfer {
  readonly seconds: number;
  /** Processor seconds of all threads: means something on a busy machine, too. */
  readonly sourceProcessor: number;
  readonly receiverProcessor: number;
  /** Peak resident memory above idle, bytes. */
  readonly sourceMemory: number;
  readonly receiverMemory: number;
}

export const bench: Bench = {
  about: 'one source to one receiver, 1 GiB, files on tmpfs, beside a bare Node TLS pipe and other programs',

  async run(options: BenchOptions): Promise<BenchReport> {
    const size = Math.floor(GIB / options.scale);
    const folder = await mkdtemp('/dev/shm/peerwire-bench-');
    try {
      await writeRandom(path.join(folder, 'big.bin'), size);
      const { keyPem, certPem } = createIdentity();
      const pem = path.join(folder, 'pipe.pem');
      await writeFile(pem, keyPem + certPem);
      const rivals = await prepareRivals({ file: path.join(folder, 'big.bin'), size, pem }, folder, options);
      const runs: Run[] = [];
      for (let run = 0; run < options.runs; run++) {
        options.progress(`run ${run + 1} of ${options.runs}`);
        const pipes: Run['pipes'] = { data: [], onread: [] };
        const gets = await transfer(folder, path.join(folder, 'big.bin'), async () => {
          for (const style of STYLES) pipes[style].push(await pipe(size, pem, style));
        });
        const times = new Map<Rival, number>();
        for (const { rival, transfer } of rivals) times.set(rival, await transfer());
        runs.push({ gets, pipes, rivals: times });
      }
      const over = (figure: (run: Run) => number): number => median(runs.map(figure));
      const of = (field: keyof Transfer, state: State = 'warm'): number =>
        over(({ gets }) => median(gets[state].map((one) => one[field])));
      const secondsOf = (run: Run, state: State = 'warm'): number =>
        median(run.gets[state].map(({ seconds }) => seconds));
      const pipeSeconds = (style: Style): number => over(({ pipes }) => median(pipes[style]));
      const timesPipe = (style: Style, state: State): number =>
        over((run) => median(run.pipes[style]) / secondsOf(run, state));
      const rate = (seconds: number): number => size / seconds / MB;
      const row = (state: State): BenchRow['figures'] => ({
        'MB/s': rate(of('seconds', state)),
        seconds: of('seconds', state),
        '× pipe': timesPipe('data', state),
        '× onread': timesPipe('onread', state),
        'source processor s': of('sourceProcessor', state),
        'receiver processor s': of('receiverProcessor', state),
        'source MB above idle': of('sourceMemory', state) / MB,
        'receiver MB above idle': of('receiverMemory', state) / MB,
      });
      const speed = (seconds: number): BenchRow['figures'] => ({ 'MB/s': rate(seconds), seconds });
      const rivalSeconds = (run: Run, rival: Rival): number => run.rivals.get(rival) ?? Number.NaN;
      const times = (rival: Rival): number => over((run) => rivalSeconds(run, rival) / secondsOf(run));
      return {
        rows: [
          { name: 'peerwire get', figures: row('warm') },
          { name: 'the same, code cold', figures: row('cold') },
          { name: 'TLS pipe', figures: speed(pipeSeconds('data')) },
          { name: 'TLS pipe, onread', figures: speed(pipeSeconds('onread')) },
          ...rivals.map(({ rival }) => ({ name: rival.name, figures: speed(over((run) => rivalSeconds(run, rival))) })),
        ],
        targets: [
          { what: 'speed, × libtorrent in plaintext', figure: times(libtorrent), bound: { atLeast: 1.5 } },
          { what: 'speed, × webtorrent', figure: times(webtorrent), bound: { atLeast: 3 } },
          { what: 'speed, × aria2', figure: times(aria2), bound: { atLeast: 3 } },
          { what: 'speed, × a bare TLS pipe', figure: timesPipe('data', 'warm'), bound: { atLeast: 0.6 } },
          { what: 'source, MB above idle', figure: of('sourceMemory', 'cold') / MB, bound: { atMost: 150 } },
          { what: 'receiver, MB above idle', figure: of('receiverMemory', 'cold') / MB, bound: { atMost: 150 } },
        ],
      };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** How the pipe's receiver reads. */
const STYLES = ['data', 'onread'] as const;
type Style = (typeof STYLES)[number];

/** All of it measured within a minute: ratios are taken within a run, since this machine's speed changes between runs. */
interface Run {
  readonly gets: Readonly<Record<State, readonly Transfer[]>>;
  /** Seconds. */
  readonly pipes: Readonly<Record<Style, number[]>>;
  readonly rivals: ReadonlyMap<Rival, number>;
}

interface MeasuredRival {
  readonly rival: Rival;
  readonly transfer: () => Promise<number>;
}

/** Those that are installed; says how to get the others, whose figures stay empty. */
async function prepareRivals(
  source: Omit<RivalSource, 'folder'>,
  parent: string,
  { progress }: BenchOptions,
): Promise<MeasuredRival[]> {
  const measured: MeasuredRival[] = [];
  for (const rival of [libtorrent, aria2, webtorrent, rsync, nginx]) {
    const missing = rival.missing();
    if (missing !== undefined) {
      progress(`without ${rival.name}; to compare with it: ${missing}`);
      continue;
    }
    const folder = await mkdtemp(path.join(parent, 'rival-'));
    const { transfer } = await rival.prepare({ ...source, folder });
    measured.push({ rival, transfer });
  }
  return measured;
}

/** After so many times, 3 GiB of it, V8 compiles no more. */
const WARM_UP = 3;
/** How often it is got after that, in turns with the pipe. */
const WARM = 4;

/**
 * Two running peers, the same content got several times. The first time their code is cold, as in a command that was just
 * started; the last times it is compiled, as in an editor, whose peer lives for hours. `between` those last times.
 */
async function transfer(
  folder: string,
  file: string,
  between: () => Promise<void>,
): Promise<Record<State, Transfer[]>> {
  const stage = new Stage(CLI, folder);
  try {
    const { invite } = await stage.ok('source', 'network', 'create', 'bench');
    await stage.ok('receiver', 'network', 'join', String(invite));
    const source = await stage.peer('source');
    const { port } = await source.event(({ event }) => event === 'ready');
    const receiver = await stage.peer('receiver', '--connect', `127.0.0.1:${port}`);
    const { share } = await stage.ok('source', 'share', file);
    const pids = [source, receiver].map(({ child }) => child.pid ?? 0);
    const get = async (out: string): Promise<Transfer> => {
      const idle = await Promise.all(pids.map(residentMemory));
      await Promise.all(pids.map(forgetPeak));
      const before = await Promise.all(pids.map(processorTime));
      const { seconds, fetched } = await stage.ok('receiver', 'get', String(share), '--out', out, '--wait', '30');
      const after = await Promise.all(pids.map(processorTime));
      const busy = await Promise.all(pids.map(residentMemory));
      const [sourceProcessor = Number.NaN, receiverProcessor = Number.NaN] = after.map(
        ({ own }, peer) => own - (before[peer]?.own ?? Number.NaN),
      );
      const [sourceMemory = Number.NaN, receiverMemory = Number.NaN] = busy.map(
        ({ peak }, peer) => peak - (idle[peer]?.now ?? Number.NaN),
      );
      await rm(out, { recursive: true });
      if (Number(fetched) < (await stat(file)).size) throw new Error('Not everything crossed the network.');
      return { seconds: Number(seconds), sourceProcessor, receiverProcessor, sourceMemory, receiverMemory };
    };
    const cold = [await get(stage.path('got'))];
    for (let time = cold.length; time < WARM_UP; time++) await get(stage.path('got'));
    const warm: Transfer[] = [];
    await between();
    while (warm.length < WARM) {
      warm.push(await get(stage.path('got')));
      await between();
    }
    return { cold, warm };
  } finally {
    await stage.dispose();
  }
}

async function pipe(bytes: number, pem: string, style: 'data' | 'onread'): Promise<number> {
  const script = path.join(import.meta.dirname, 'tls-pipe.ts');
  const sender = spawn(process.execPath, [script, 'send', String(bytes), pem], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [port] = (await once(createInterface({ input: sender.stdout }), 'line')) as [string];
    const args = [script, 'receive', port, String(bytes), style];
    const receiver = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [seconds] = (await once(createInterface({ input: receiver.stdout }), 'line')) as [string];
    return Number(seconds);
  } finally {
    sender.kill();
  }
}
