/** Rate limits of real processes over real sockets, where buffers of the system would let bursts through. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { useCli } from './cli-build.ts';
import { addressOf, type Line, type Running, Stage } from './processes.ts';

const MB = 1_000_000;

describe('rate limits over real sockets', function () {
  this.timeout(300_000);
  const cli = useCli();
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage(cli.main);
  });
  afterEach(() => stage.dispose());

  it('of running peers and of one download hold over 5 seconds, within 5 percent', async () => {
    const [source, origin] = [await shared('a', '8M'), await shared('b', '3M')];
    const [slow, free] = [await receiver('c', source), await receiver('d', origin)];
    const limited = get('c', '--download-limit', '2M', '--priority', 'low');
    const unlimited = get('d');
    await Promise.all([
      holds(slow, 2 * MB, ({ fetched }) => Number(fetched), 'the limit of the download'),
      holds(free, 3 * MB, ({ fetched }) => Number(fetched), 'the upload limit of its source'),
    ]);
    const row = await slow.event(
      ({ event, transfer }) => event === 'transfer' && (transfer as Line).state === 'downloading',
    );
    const { limits, priority } = row.transfer as Line;
    assert.deepEqual([limits, priority], [{ upload: 0, download: 2 * MB }, 'low']);
    await Promise.all([slow.end(), free.end()]);
    await Promise.all([limited, unlimited]);
  });

  interface Source {
    readonly invite: string;
    readonly address: string;
  }

  /** A network of its own, with a file in it. */
  async function shared(home: string, limit: string): Promise<Source> {
    const { invite } = await stage.ok(home, 'network', 'create', 'team');
    writeFileSync(stage.path(`${home}.bin`), randomBytes(96 * MB));
    await stage.ok(home, 'share', stage.path(`${home}.bin`), '--name', 'file.bin');
    const peer = await stage.peer(home, '--upload-limit', limit);
    return { invite: String(invite), address: addressOf(peer) };
  }

  async function receiver(home: string, { invite, address }: Source): Promise<Running> {
    await stage.ok(home, 'network', 'join', invite);
    return await stage.peer(home, '--connect', address);
  }

  function get(home: string, ...options: string[]): Promise<unknown> {
    return stage.run(home, 'get', 'file.bin', '--out', stage.path(`${home}-out`), '--wait', '90', ...options);
  }
});

/** A machine that is busy otherwise may stop us for so long that some windows tell nothing. The file is long enough for so many. */
const MOST_WINDOWS = 6;

/** Measures windows of 5 s from when the peer's transfer first moved, until one is within 5 percent. */
async function holds(peer: Running, limit: number, bytes: (transfer: Line) => number, what: string): Promise<void> {
  const rates: number[] = [];
  let first: { bytes: number; time: number } | undefined;
  while (rates.length < MOST_WINDOWS) {
    const seen = peer.events.length;
    await peer.event((event) => peer.events.indexOf(event) >= seen);
    const time = performance.now();
    const transfer = peer.events.slice(seen).findLast(({ event }) => event === 'transfer')?.transfer as
      | Line
      | undefined;
    if (!transfer || bytes(transfer) === 0) continue;
    const now = { bytes: bytes(transfer), time };
    first ??= now;
    const seconds = (time - first.time) / 1000;
    if (seconds < 5) continue;
    rates.push(Math.round((now.bytes - first.bytes) / seconds));
    if (Math.abs(rates.at(-1)! / limit - 1) < 0.05) return;
    first = now;
  }
  assert.fail(`${what} is ${limit} bytes/s; it was ${rates}`);
}
