/** Trackers that send members to wherever they like: only what may be another peer is dialled, by TLS, and a few times. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { type Host, useLab } from './netns.ts';
import type { Line } from './processes.ts';

const ADDRESS = '10.9.9.1';

describe('trackers that lie', function () {
  this.timeout(90_000);
  const lab = useLab();

  it('make nobody dial services of the own machine, nor follow them, nor drown in addresses', async () => {
    const segment = await lab.switch();
    const host = await lab.host();
    await segment.plug(host, { ipv4: `${ADDRESS}/24` });
    const { urls, came } = await lies(host);
    const trackers = urls.flatMap((url) => ['--tracker', url]);
    await host.ok('home', 'network', 'create', 'team', ...trackers);
    // The command above opened a peer for a moment, too.
    const since = Date.now();
    const peer = await host.peer('home', '--no-lan');
    const ofPeer = (visits: readonly Line[]): Line[] => visits.filter(({ at }) => Number(at) >= since);
    const [visit] = ofPeer(await came((visits) => ofPeer(visits).length > 0));
    assert.equal(visit?.came, 'outside');
    // A TLS record of a handshake, as for any peer: nothing that a service would take for a request.
    assert.match(String(visit?.bytes), /^1603/);

    const { lines } = await host.run('home', 'diagnose', '--wait', '8');
    const visits = ofPeer(await came(() => true));
    assert.deepEqual([...new Set(visits.map((line) => line.came))], ['outside']);
    assert.ok(visits.length <= 3, `it was dialled ${visits.length} times`);
    assert.equal(lines.find(({ check }) => check === 'tracker of team')?.ok, true);
    await peer.end();
    assert.doesNotMatch(peer.stdout, /"event":"peers"/);
  });

  for (const [name, position, words] of [
    ['of 100,000 addresses', 1, /too long/],
    ['that leads elsewhere', 2, /redirects elsewhere/],
  ] as const)
    it(`say in a diagnosis what is wrong with an answer ${name}`, async () => {
      const segment = await lab.switch();
      const host = await lab.host();
      await segment.plug(host, { ipv4: `${ADDRESS}/24` });
      const { urls, came } = await lies(host);
      await host.ok('home', 'network', 'create', 'team', '--tracker', urls[position]!);
      await host.peer('home', '--no-lan');
      const { lines } = await host.run('home', 'diagnose', '--wait', '2');
      const told = lines.find(({ check }) => check === 'tracker of team');
      assert.equal(told?.ok, false);
      assert.match(String(told?.detail), words);
      assert.deepEqual(await came(() => true), []);
    });

  /** Starts them: their URLs (the liar, the flood, the redirect), and who came to the canaries once that passes. */
  async function lies(host: Host): Promise<{
    readonly urls: readonly string[];
    readonly came: (enough: (visits: readonly Line[]) => boolean) => Promise<readonly Line[]>;
  }> {
    const script = path.join(import.meta.dirname, 'lying-tracker.mjs');
    const child = host.spawn(process.execPath, script, ADDRESS);
    const lines: Line[] = [];
    const reader: Interface = createInterface({ input: child.stdout! });
    reader.on('line', (line) => lines.push(JSON.parse(line)));
    const until = async (enough: () => boolean): Promise<void> => {
      while (!enough()) await once(reader, 'line', { signal: AbortSignal.timeout(30_000) });
    };
    await until(() => lines.length > 0);
    const { liar, flood, redirect } = lines[0]!;
    return {
      urls: [liar, flood, redirect].map(String),
      came: async (enough) => {
        const visits = (): Line[] => lines.filter((line) => line.came !== undefined);
        await until(() => enough(visits()));
        return visits();
      },
    };
  }
});
