import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ShareInfo, TransferInfo } from '../../src/peer/api.ts';
import { connectToHome, type RunningPeer } from '../../src/peer/control-socket.ts';
import { addressOf, CLI, type Running, Stage } from '../integration/processes.ts';
import { type Bench, type BenchOptions, type BenchReport, median } from './bench.ts';
import { writeRandom } from './random-file.ts';

const SMALL = 10_000;
const BIG = 1024 ** 3;
/** Bytes of a range. */
const RANGE = 4096;
/** Reads in one run after the first. */
const WARM_READS = 5;

type Figures = Record<'small' | 'command' | 'visible' | 'cold' | 'warm' | 'coldBusy' | 'warmBusy', number[]>;

export const bench: Bench = {
  about: 'a click, a new share and a range in the middle of 1 GiB, over loopback between two processes',

  async run(options: BenchOptions): Promise<BenchReport> {
    const folder = await mkdtemp('/dev/shm/peerwire-bench-');
    const figures: Figures = { small: [], command: [], visible: [], cold: [], warm: [], coldBusy: [], warmBusy: [] };
    try {
      await new Latency(folder, Math.floor(BIG / options.scale), figures).run(options);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    const row = (name: string, times: readonly number[]) => ({
      name,
      figures: { ms: median(times), 'slowest ms': Math.max(...times), times: times.length },
    });
    const target = (what: string, times: readonly number[], most: number) => ({
      what: `${what}, ms`,
      figure: median(times),
      bound: { atMost: most },
    });
    return {
      rows: [
        row('10 kB, click to disk', figures.small),
        row('10 kB, peerwire get', figures.command),
        row('share to seen', figures.visible),
        row('range, cold', figures.cold),
        row('range, warm', figures.warm),
        row('range beside a download, cold', figures.coldBusy),
        row('range beside a download, warm', figures.warmBusy),
      ],
      targets: [
        target('10 kB file, click to disk', figures.small, 150),
        target('share appears at the other peer', figures.visible, 300),
        target('first byte of a range, cold', figures.cold, 200),
        target('first byte of a range, warm', figures.warm, 200),
        target('first byte of a range beside a download, cold', figures.coldBusy, 200),
        target('first byte of a range beside a download, warm', figures.warmBusy, 200),
      ],
    };
  },
};

class Latency {
  readonly #folder: string;
  readonly #size: number;
  readonly #figures: Figures;
  readonly #stage: Stage;

  constructor(folder: string, size: number, figures: Figures) {
    this.#folder = folder;
    this.#size = size;
    this.#figures = figures;
    this.#stage = new Stage(CLI, folder);
  }

  async run(options: BenchOptions): Promise<void> {
    const stage = this.#stage;
    try {
      const { invite } = await stage.ok('source', 'network', 'create', 'bench');
      const source = await stage.peer('source');
      const api = await this.#connect('source');
      options.progress('sharing two big files');
      for (const [seed, name] of ['read.bin', 'fetched.bin'].entries()) {
        await writeRandom(path.join(this.#folder, name), this.#size, seed);
        await api.share({ path: path.join(this.#folder, name) });
      }
      // Each run has a receiver that knows nothing yet: what is cold once is warm ever after.
      for (let run = 0; run < options.runs; run++) {
        options.progress(`run ${run + 1} of ${options.runs}`);
        const idle = await this.#receiver(`idle-${run}`, String(invite), addressOf(source));
        await this.#ranges(idle.api, this.#figures.cold, this.#figures.warm);
        await this.#small(run, api, idle);
        await idle.end();
        const busy = await this.#receiver(`busy-${run}`, String(invite), addressOf(source));
        await this.#beside(busy);
        await busy.end();
      }
      api.dispose();
    } finally {
      await stage.dispose();
    }
  }

  async #connect(home: string): Promise<RunningPeer> {
    const peer = await connectToHome(this.#stage.path(home));
    if (!peer) throw new Error(`No peer runs in ${home}.`);
    return peer;
  }

  /** A new peer that is connected and knows what is shared. */
  async #receiver(home: string, invite: string, address: string): Promise<Receiver> {
    await this.#stage.ok(home, 'network', 'join', invite);
    const process = await this.#stage.peer(home, '--connect', address);
    const api = await this.#connect(home);
    await seen(api, ({ sources }) => sources > 0, 2);
    return {
      home,
      api,
      process,
      end: async () => {
        api.dispose();
        await process.end();
        await rm(this.#stage.path(home), { recursive: true, force: true });
      },
    };
  }

  async #ranges(api: RunningPeer, cold: number[], warm: number[]): Promise<void> {
    const { share } = await seen(api, ({ name }) => name === 'read.bin');
    const read = (at: number): Promise<number> =>
      timed(async () => {
        const { data } = await api.readFile({ share, offset: Math.floor(at * this.#size), length: RANGE });
        if (data.length !== RANGE) throw new Error(`It has ${data.length} bytes.`);
      });
    cold.push(await read(0.5));
    for (let index = 1; index <= WARM_READS; index++) warm.push(await read(0.5 + index / 20));
  }

  /** A small file is shared, seen, fetched by a click (a call of the running peer) and, another one, by a command. */
  async #small(run: number, source: RunningPeer, { api, home }: Receiver): Promise<void> {
    const names = [`small-${run}.bin`, `command-${run}.bin`];
    for (const name of names) {
      const file = path.join(this.#folder, name);
      await writeFile(file, randomBytes(SMALL));
      this.#figures.visible.push(
        await timed(async () => {
          const appears = seen(api, (share) => share.name === name && share.sources > 0);
          await source.share({ path: file });
          await appears;
        }),
      );
    }
    const destination = this.#stage.path(home, 'out');
    const [clicked = '', commanded = ''] = names;
    this.#figures.small.push(
      await timed(async () => {
        const done = transferred(api, ({ name, state }) => name === clicked && state === 'done');
        await api.download({ share: clicked, destination, onConflict: 'fail' });
        await done;
      }),
    );
    this.#figures.command.push(await timed(() => this.#stage.ok(home, 'get', commanded, '--out', destination)));
  }

  async #beside({ api, home }: Receiver): Promise<void> {
    const running = transferred(api, ({ name, done }) => name === 'fetched.bin' && done > this.#size / 50);
    const { id } = await api.download({
      share: 'fetched.bin',
      destination: this.#stage.path(home, 'out'),
      onConflict: 'fail',
    });
    await running;
    await this.#ranges(api, this.#figures.coldBusy, this.#figures.warmBusy);
    const transfer = (await api.transfers()).find((candidate) => candidate.id === id);
    if (transfer?.state !== 'downloading')
      throw new Error('The download was over before the reads were: take a smaller --scale.');
    await api.cancelTransfer(id);
  }
}

interface Receiver {
  readonly home: string;
  readonly api: RunningPeer;
  readonly process: Running;
  end(): Promise<void>;
}

/** Milliseconds. */
async function timed(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

/** Resolves when a transfer is as it should be. */
function transferred(api: RunningPeer, test: (transfer: TransferInfo) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const subscription = api.onEvent((event) => {
      if (event.event !== 'transfer' || !test(event.transfer)) return;
      subscription.dispose();
      resolve();
    });
  });
}

/** A share that passes, as soon as it is listed (and `count` of them). */
function seen(api: RunningPeer, test: (share: ShareInfo) => boolean, count = 1): Promise<ShareInfo> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      api.shares().then((shares) => {
        const found = shares.filter(test);
        if (found.length < count || !found[0]) return;
        subscription.dispose();
        resolve(found[0]);
      }, reject);
    };
    const subscription = api.onEvent(({ event }) => {
      if (event === 'shares') look();
    });
    look();
  });
}
