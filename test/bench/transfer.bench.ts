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
      const transfers: Record<State, Transfer[]> = { cold: [], warm: [] };
      const pipes: number[] = [];
      const staticPipes: number[] = [];
      const rivals = await prepareRivals({ file: path.join(folder, 'big.bin'), size, pem }, folder, options);
      // In turns, so that a busy machine slows all of them down alike.
      for (let run = 0; run < options.runs; run++) {
        options.progress(`run ${run + 1} of ${options.runs}`);
        pipes.push(await pipe(size, pem, 'data'));
        staticPipes.push(await pipe(size, pem, 'onread'));
        const { cold, warm } = await transfer(folder, path.join(folder, 'big.bin'));
        transfers.cold.push(...cold);
        transfers.warm.push(...warm);
        pipes.push(await pipe(size, pem, 'data'));
        staticPipes.push(await pipe(size, pem, 'onread'));
        for (const { seconds, transfer } of rivals) seconds.push(await transfer());
      }
      const of = (field: keyof Transfer, state: State = 'warm'): number =>
        median(transfers[state].map((one) => one[field]));
      const row = (state: State): BenchRow['figures'] => ({
        'MB/s': rate(of('seconds', state)),
        seconds: of('seconds', state),
        '× pipe': median(pipes) / of('seconds', state),
        '× onread': median(staticPipes) / of('seconds', state),
        'source processor s': of('sourceProcessor', state),
        'receiver processor s': of('receiverProcessor', state),
        'source MB above idle': of('sourceMemory', state) / MB,
        'receiver MB above idle': of('receiverMemory', state) / MB,
      });
      const rate = (seconds: number): number => size / seconds / MB;
      const times = (rival: Rival): number => {
        const measured = rivals.find((entry) => entry.rival === rival);
        return measured ? median(measured.seconds) / of('seconds') : Number.NaN;
      };
      return {
        rows: [
          { name: 'peerwire get', figures: row('warm') },
          { name: 'the same, code cold', figures: row('cold') },
          { name: 'TLS pipe', figures: { 'MB/s': rate(median(pipes)), seconds: median(pipes) } },
          { name: 'TLS pipe, onread', figures: { 'MB/s': rate(median(staticPipes)), seconds: median(staticPipes) } },
          ...rivals.map(({ rival, seconds }) => ({
            name: rival.name,
            figures: { 'MB/s': rate(median(seconds)), seconds: median(seconds) },
          })),
        ],
        targets: [
          { what: 'speed, × libtorrent in plaintext', figure: times(libtorrent), bound: { atLeast: 1.5 } },
          { what: 'speed, × webtorrent', figure: times(webtorrent), bound: { atLeast: 3 } },
          { what: 'speed, × aria2', figure: times(aria2), bound: { atLeast: 3 } },
          { what: 'speed, × a bare TLS pipe', figure: median(pipes) / of('seconds'), bound: { atLeast: 0.6 } },
          { what: 'source, MB above idle', figure: of('sourceMemory', 'cold') / MB, bound: { atMost: 150 } },
          { what: 'receiver, MB above idle', figure: of('receiverMemory', 'cold') / MB, bound: { atMost: 150 } },
        ],
      };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

interface MeasuredRival {
  readonly rival: Rival;
  readonly seconds: number[];
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
    measured.push({ rival, seconds: [], transfer });
  }
  return measured;
}

/** After so many times, 3 GiB of it, V8 compiles no more. */
const WARM_UP = 3;
/** How often it is got after that. */
const WARM = 2;

/**
 * Two running peers, the same content got several times. The first time their code is cold, as in a command that was just
 * started; the last times it is compiled, as in an editor, whose peer lives for hours.
 */
async function transfer(folder: string, file: string): Promise<Record<State, Transfer[]>> {
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
    const all: Transfer[] = [];
    for (let time = 0; time < WARM_UP + WARM; time++) all.push(await get(stage.path('got')));
    return { cold: all.slice(0, 1), warm: all.slice(WARM_UP) };
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
