/** Rate limits of real processes over real sockets, where buffers of the system would let bursts through. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { CliBuild } from './cli-commands.ts';
import { type Line, type Running, Stage } from './processes.ts';

const MB = 1_000_000;

describe('rate limits over real sockets', function () {
  this.timeout(120_000);
  let build: CliBuild;
  let stage: Stage;

  before(async () => {
    build = await CliBuild.create();
  });
  after(() => build.dispose());
  beforeEach(() => {
    stage = new Stage(build.main);
  });
  afterEach(() => stage.dispose());

  it('a limit of one download and an upload limit hold over 5 seconds, within 5 percent', async () => {
    const { invite } = await stage.ok('a', 'network', 'create', 'team');
    for (const home of ['b', 'c']) await stage.ok(home, 'network', 'join', String(invite));
    writeFileSync(stage.path('file.bin'), randomBytes(96 * MB));
    await stage.ok('a', 'share', stage.path('file.bin'));
    const a = await stage.peer('a', '--upload-limit', '6M');
    const { port } = await a.event(({ event }) => event === 'ready');
    const address = `127.0.0.1:${port}`;
    const [b, c] = [await stage.peer('b', '--connect', address), await stage.peer('c', '--connect', address)];

    const get = (home: string, ...options: string[]): Promise<unknown> =>
      stage.run(home, 'get', 'file.bin', '--out', stage.path(`${home}-out`), '--wait', '20', ...options);
    const limited = get('b', '--download-limit', '2M', '--priority', 'low');
    const free = get('c');
    const [received, sent] = await Promise.all([
      overFiveSeconds(b, ({ fetched }) => Number(fetched)),
      overFiveSeconds(a, ({ done }) => Number(done)),
    ]);
    const row = await b.event(
      ({ event, transfer }) => event === 'transfer' && (transfer as Line).state === 'downloading',
    );
    const { limits, priority } = row.transfer as Line;
    assert.deepEqual([limits, priority], [{ upload: 0, download: 2 * MB }, 'low']);
    within5Percent(received, 2 * MB, 'received by the limited download');
    within5Percent(sent, 6 * MB, 'sent by the source, to both');
    await Promise.all([b.end(), c.end()]);
    await Promise.all([limited, free]);
  });
});

/** Bytes per second of the peer's transfer, over 5 s from when it first moved. */
async function overFiveSeconds(peer: Running, bytes: (transfer: Line) => number): Promise<number> {
  let first: { bytes: number; time: number } | undefined;
  for (;;) {
    const seen = peer.events.length;
    await peer.event((event) => peer.events.indexOf(event) >= seen);
    const time = performance.now();
    const transfer = peer.events.slice(seen).findLast(({ event }) => event === 'transfer')?.transfer as
      | Line
      | undefined;
    if (!transfer || bytes(transfer) === 0) continue;
    first ??= { bytes: bytes(transfer), time };
    const seconds = (time - first.time) / 1000;
    if (seconds >= 5) return (bytes(transfer) - first.bytes) / seconds;
  }
}

function within5Percent(actual: number, limit: number, what: string): void {
  const off = (actual / limit - 1) * 100;
  assert.ok(
    Math.abs(off) < 5,
    `${Math.round(actual)} bytes/s were ${what} at a limit of ${limit}: off by ${off.toFixed(1)} %`,
  );
}
