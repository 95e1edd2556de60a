import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { addressOf, CLI, type Running, Stage } from '../integration/processes.ts';
import { type Bench, type BenchOptions, type BenchReport, type BenchRow, type BenchTarget, median } from './bench.ts';
import { forgetPeak, residentMemory } from './memory.ts';
import { writeRandom } from './random-file.ts';

const GB = 1e9;
const MB = 1e6;
const MANY = 8;
/** Milliseconds that one `get` may take. */
const PATIENCE = 900_000;
/** Bytes between two marks of a sparse file: no piece is longer, so that none is all zeros. */
const MARK_DISTANCE = 64 * 1024;

/** Peak resident memory above idle, bytes: of the source, and of the receiver that needed most. */
interface Peaks {
  readonly source: number;
  readonly receiver: number;
}

export const bench: Bench = {
  about: 'peak resident memory above idle of real peers: one big file, 8 shares at once, 8 receivers at once',

  async run(options: BenchOptions): Promise<BenchReport> {
    const big = Math.floor((10 * GB) / options.scale);
    const small = Math.floor((0.25 * GB) / options.scale);
    const cases = [
      { name: `sparse file of ${big / GB} GB`, measure: () => oneFile(big, true) },
      { name: `file of ${big / GB} GB of nothing but a hole`, measure: () => oneFile(big, false) },
      { name: `${MANY} shares of ${small / GB} GB at once`, measure: () => manyShares(small) },
      { name: `${MANY} receivers of ${small / GB} GB at once`, measure: () => manyReceivers(small) },
    ];
    const rows: BenchRow[] = [];
    const targets: BenchTarget[] = [];
    for (const { name, measure } of cases) {
      const peaks: Peaks[] = [];
      for (let run = 0; run < options.runs; run++) {
        options.progress(`${name}: run ${run + 1} of ${options.runs}`);
        peaks.push(await measure());
      }
      const source = median(peaks.map((one) => one.source)) / MB;
      const receiver = median(peaks.map((one) => one.receiver)) / MB;
      rows.push({ name, figures: { 'source, MB above idle': source, 'receiver, MB above idle': receiver } });
      targets.push({ what: `${name}, MB above idle`, figure: Math.max(source, receiver), bound: { atMost: 150 } });
    }
    return { rows, targets };
  },
};

/** On a disk: tmpfs would take as much memory as the file has bytes. */
async function oneFile(size: number, marked: boolean): Promise<Peaks> {
  return await onStage(tmpdir(), async (stage) => {
    const file = stage.path('big.bin');
    if (marked) await writeMarks(file, size);
    else {
      await writeFile(file, '');
      await truncate(file, size);
    }
    return await measure(stage, 1, [file]);
  });
}

async function manyShares(size: number): Promise<Peaks> {
  return await onStage('/dev/shm', async (stage) => {
    const files = Array.from({ length: MANY }, (_, index) => stage.path(`file-${index}.bin`));
    for (const [index, file] of files.entries()) await writeRandom(file, size + index);
    return await measure(stage, 1, files);
  });
}

async function manyReceivers(size: number): Promise<Peaks> {
  return await onStage('/dev/shm', async (stage) => {
    await writeRandom(stage.path('file.bin'), size);
    return await measure(stage, MANY, [stage.path('file.bin')]);
  });
}

interface Receiver {
  readonly home: string;
  readonly peer: Running;
}

async function network(stage: Stage, count: number): Promise<{ source: Running; receivers: readonly Receiver[] }> {
  const { invite } = await stage.ok('source', 'network', 'create', 'bench');
  const source = await stage.peer('source');
  const receivers: Receiver[] = [];
  for (let index = 0; index < count; index++) {
    const home = `receiver-${index}`;
    await stage.ok(home, 'network', 'join', String(invite));
    receivers.push({ home, peer: await stage.peer(home, '--connect', addressOf(source)) });
  }
  return { source, receivers };
}

/** Every receiver gets every file, all at once. The source's peak includes hashing them. */
async function measure(stage: Stage, receiverCount: number, files: readonly string[]): Promise<Peaks> {
  const { source, receivers } = await network(stage, receiverCount);
  const pids = [source, ...receivers.map(({ peer }) => peer)].map(({ child }) => child.pid ?? 0);
  const idle = await Promise.all(pids.map(residentMemory));
  await Promise.all(pids.map(forgetPeak));
  const shares: string[] = [];
  for (const file of files) shares.push(String((await stage.ok('source', 'share', file)).share));
  await Promise.all(
    receivers.flatMap(({ home }) =>
      shares.map((share) => stage.ok(home, 'get', share, '--out', stage.path(`${home}-out`), '--wait', '60')),
    ),
  );
  const busy = await Promise.all(pids.map(residentMemory));
  const [sourcePeak = Number.NaN, ...receiverPeaks] = busy.map(
    ({ peak }, index) => peak - (idle[index]?.now ?? Number.NaN),
  );
  return { source: sourcePeak, receiver: Math.max(...receiverPeaks) };
}

async function onStage(parent: string, action: (stage: Stage) => Promise<Peaks>): Promise<Peaks> {
  const folder = await mkdtemp(path.join(parent, 'peerwire-bench-'));
  const stage = new Stage(CLI, folder, PATIENCE);
  try {
    return await action(stage);
  } finally {
    await stage.dispose();
    await rm(folder, { recursive: true, force: true });
  }
}

/** A sparse file with something else than zeros in every piece. */
async function writeMarks(file: string, size: number): Promise<void> {
  const handle = await open(file, 'w');
  for (let at = 0; at < size; at += MARK_DISTANCE)
    await handle.write(Buffer.from([1 + ((at / MARK_DISTANCE) % 251)]), 0, 1, at);
  await handle.truncate(size);
  await handle.close();
}
