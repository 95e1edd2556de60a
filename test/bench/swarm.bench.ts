import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import type { TransferInfo } from '../../src/peer/api.ts';
import { connectToHome, type RunningPeer } from '../../src/peer/control-socket.ts';
import { addressOf, CLI, Stage } from '../integration/processes.ts';
import { type Bench, type BenchOptions, type BenchReport, type BenchTarget, median } from './bench.ts';
import { processorTime } from './processor-time.ts';
import { writeRandom } from './random-file.ts';

const MIB = 1024 ** 2;
/**
 * Bytes of the file, and of the origin's uplink a second: 22 s a case, and 24 MB/s on the whole machine for 16 receivers. All
 * processes share one machine: 17 of them need about 10 processor seconds to begin, and half of two cores to go on.
 */
const SIZE = 32 * MIB;
const UPLINK = 1_500_000;
const RECEIVERS = [2, 4, 8, 16];
/** Milliseconds until every peer knows all others, and until the last has everything. */
const MESH_PATIENCE = 60_000;
const PATIENCE = 180_000;

interface Spread {
  /** From the moment all are told to download until the last has every byte in place. */
  readonly seconds: number;
  /** Until the first has. */
  readonly first: number;
  /** Until every receiver had its first verified bytes. */
  readonly start: number;
  /** Payload bytes that left the origin. */
  readonly uploaded: number;
  /** Payload bytes that all receivers got, duplicates included. */
  readonly fetched: number;
  /** Processor seconds of all peers together. */
  readonly processor: number;
}

export const bench: Bench = {
  about: 'one origin with a capped uplink to 2, 4, 8 and 16 receivers that start together, against the lower bound',

  async run(options: BenchOptions): Promise<BenchReport> {
    const size = Math.floor(SIZE / options.scale);
    // Receivers are uncapped: of max(F/u, F/d, N·F/(u + Σu)) only the origin's own time remains (Kumar & Ross 2006).
    const bound = size / UPLINK;
    const folder = await mkdtemp('/dev/shm/peerwire-bench-');
    try {
      const file = path.join(folder, 'big.bin');
      await writeRandom(file, size);
      const rows = [];
      const targets: BenchTarget[] = [];
      for (const receivers of RECEIVERS) {
        const spreads: Spread[] = [];
        for (let run = 0; run < options.runs; run++) {
          options.progress(`${receivers} receivers, run ${run + 1} of ${options.runs}`);
          spreads.push(await spread(folder, file, receivers));
        }
        const of = (field: keyof Spread): number => median(spreads.map((one) => one[field]));
        const time = of('seconds') / bound;
        const upload = of('uploaded') / size;
        rows.push({
          name: `${receivers} receivers`,
          figures: {
            seconds: of('seconds'),
            '× bound': time,
            'origin × size': upload,
            'fetched × size': of('fetched') / receivers / size,
            'CPU s': of('processor'),
            's to start': of('start'),
            's to first': of('first'),
          },
        });
        if (receivers === 8) targets.push({ what: 'time for 8, × bound', figure: time, bound: { atMost: 1.1 } });
        if (receivers === 16) targets.push({ what: 'time for 16, × bound', figure: time, bound: { atMost: 1.15 } });
        targets.push({
          what: `origin’s upload for ${receivers}, × size`,
          figure: upload,
          bound: { atMost: 1.15 },
        });
      }
      return { rows, targets };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** Real processes on loopback, every one connected to every other before the download begins. */
async function spread(folder: string, file: string, receivers: number): Promise<Spread> {
  const stage = new Stage(CLI, folder);
  const peers: RunningPeer[] = [];
  try {
    const { invite } = await stage.ok('origin', 'network', 'create', 'bench');
    const origin = await stage.peer('origin', '--upload-limit', String(UPLINK));
    const { share } = await stage.ok('origin', 'share', file);
    peers.push(await api(stage, 'origin'));
    // The clock starts when every process is up, connected to all others, and sees the share.
    const homes = Array.from({ length: receivers }, (_, index) => `r${index}`);
    await Promise.all(homes.map((home) => stage.peer(home)));
    for (const home of homes) {
      const peer = await api(stage, home);
      peers.push(peer);
      await peer.joinNetwork(String(invite));
      await peer.addPeerAddress(addressOf(origin));
    }
    await until(MESH_PATIENCE, async () => {
      for (const peer of peers) {
        if ((await peer.peers()).length < receivers || (await peer.shares()).length === 0) return false;
      }
      return true;
    });
    const [source, ...rest] = peers;
    if (!source) throw new Error('There is no origin.');
    const pids = peers.map(({ pid }) => pid);
    const before = await processorSeconds(pids);
    const began = performance.now();
    const reports = await Promise.all(
      rest.map((peer, index) => download(peer, String(share), stage.path(`out${index}`), began)),
    );
    const upload = (await source.transfers()).find(({ direction }) => direction === 'upload');
    return {
      seconds: Math.max(...reports.map(({ end }) => end)),
      first: Math.min(...reports.map(({ end }) => end)),
      start: Math.max(...reports.map(({ start }) => start)),
      uploaded: upload?.done ?? Number.NaN,
      fetched: reports.reduce((sum, { fetched }) => sum + fetched, 0),
      processor: (await processorSeconds(pids)) - before,
    };
  } finally {
    for (const peer of peers) peer.dispose();
    await stage.dispose();
  }
}

async function api(stage: Stage, home: string): Promise<RunningPeer> {
  const peer = await connectToHome(stage.path(home));
  if (!peer) throw new Error(`No peer runs in ${home}.`);
  return peer;
}

/** Resolves with seconds since `began`. */
async function download(
  peer: RunningPeer,
  share: string,
  destination: string,
  began: number,
): Promise<{ start: number; end: number; fetched: number }> {
  let start = Number.NaN;
  const since = (): number => (performance.now() - began) / 1000;
  const done = new Promise<TransferInfo>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('A receiver did not finish.')), PATIENCE);
    peer.onEvent((event) => {
      if (event.event !== 'transfer' || event.transfer.direction !== 'download') return;
      if (event.transfer.done > 0 && Number.isNaN(start)) start = since();
      if (event.transfer.state !== 'done' && event.transfer.state !== 'failed') return;
      clearTimeout(timer);
      if (event.transfer.state === 'done') resolve(event.transfer);
      else reject(new Error(event.transfer.error?.message));
    });
  });
  await peer.download({ share, destination, onConflict: 'fail' });
  const { fetched } = await done;
  return { start, end: since(), fetched };
}

/** Of these processes, threads included, since they began (Linux). */
async function processorSeconds(pids: readonly number[]): Promise<number> {
  const times = await Promise.all(pids.map(processorTime));
  return times.reduce((sum, { own }) => sum + own, 0);
}

/** Asks again and again, with time for the peers in between. */
async function until(patience: number, test: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patience;
  while (!(await test())) {
    if (performance.now() > deadline) throw new Error('The peers did not find each other.');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
